//! Embedded stores: Laurel starts a private Redis and Postgres in its data folder.

mod environment;
mod lock;

use std::collections::HashSet;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use crate::harness::{eventually, laurel_binary};

fn laurel_in(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = laurel_binary();
    command.args(arguments).current_dir(folder).env("PORT", "0");
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    laurel_in(folder, arguments).output().unwrap()
}

/// Starts a node. Returns it and its output until it serves.
fn serve(folder: &Path) -> (Child, String) {
    spawn_node(laurel_in(folder, &["serve"]))
}

/// Like `serve`, with a given command.
fn spawn_node(mut command: Command) -> (Child, String) {
    let mut child = command.spawn().unwrap();
    let (mut output, mut byte) = (Vec::new(), [0]);
    let stdout = child.stdout.as_mut().unwrap();
    while !output.ends_with(b"laurel serve\n") && stdout.read(&mut byte).unwrap() == 1 {
        output.push(byte[0]);
    }
    (child, String::from_utf8(output).unwrap())
}

fn stderr_of(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).trim().to_owned()
}

/// Stops a node with SIGTERM. It must exit with success.
fn stop(node: &mut Child) {
    // SAFETY: the child is not reaped yet.
    unsafe { libc::kill(node.id() as libc::pid_t, libc::SIGTERM) };
    assert!(node.wait().unwrap().success());
}

/// The open files of a process.
fn open_files(pid: i32) -> HashSet<PathBuf> {
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    open.filter_map(|file| std::fs::read_link(file.path()).ok()).collect()
}

/// Counts the processes with open files in a folder, given by its canonical path.
fn count_processes_with(folder: &Path) -> usize {
    let pids = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| open_files(*pid).iter().any(|file| file.starts_with(folder))).count()
}

#[tokio::test]
async fn stores_survive_restarts_and_end_with_a_killed_node() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().canonicalize().unwrap();
    let (mut node, first) = serve(folder.path());
    assert!(first.contains("REDIS_URL='unix://"), "{first}");
    let seeded = run(folder.path(), &["seed", "--users", "50", "--max-score", "1000", "--tokens", "tokens"]);
    assert!(seeded.status.success(), "{}", stderr_of(&seeded));
    assert_eq!(std::fs::read_to_string(folder.path().join("tokens")).unwrap().lines().count(), 50);

    let second = run(folder.path(), &["serve"]);
    assert!(!second.status.success());
    assert_eq!(stderr_of(&second).lines().count(), 1);
    assert!(stderr_of(&second).contains("is in use by Laurel with pid"), "{}", stderr_of(&second));

    assert!(count_processes_with(&path) >= 3, "Laurel, Redis and Postgres");
    node.kill().unwrap();
    node.wait().unwrap();
    eventually("the stores to end", async || (count_processes_with(&path) == 0).then_some(())).await;

    let (mut node, _) = serve(folder.path());
    let verified = run(folder.path(), &["verify"]);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
    assert!(String::from_utf8_lossy(&verified.stdout).contains("50 users"));
    let secret = std::fs::metadata(folder.path().join("data/jwt_secret")).unwrap();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&secret.permissions()) & 0o777, 0o600);
    stop(&mut node);
    assert_eq!(count_processes_with(&path), 0);
}

#[tokio::test]
async fn a_second_node_joins_with_the_printed_urls() {
    let folder = tempfile::tempdir().unwrap();
    let (mut node, output) = serve(folder.path());
    let line = output.lines().find(|it| it.contains("REDIS_URL=")).unwrap();
    let url = |name: &str| line.split(name).nth(1).unwrap().split('\'').nth(1).unwrap();
    let mut second = laurel_in(folder.path(), &["serve"]);
    second.env("REDIS_URL", url("REDIS_URL=")).env("DATABASE_URL", url("DATABASE_URL="));
    let mut second = second.spawn().unwrap();
    let mut line_start = [0; 13];
    second.stdout.as_mut().unwrap().read_exact(&mut line_start).unwrap();
    assert_eq!(&line_start, b"Laurel serves");
    for child in [&mut second, &mut node] {
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

#[tokio::test]
async fn start_errors_are_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = folder.path().join("data/postgres/cluster");
    std::fs::create_dir_all(&cluster).unwrap();
    let damaged = run(folder.path(), &["migrate"]);
    assert!(stderr_of(&damaged).ends_with("is damaged: it has no PG_VERSION"), "{}", stderr_of(&damaged));
    std::fs::write(cluster.join("PG_VERSION"), "9.6\n").unwrap();
    let old = run(folder.path(), &["migrate"]);
    assert!(stderr_of(&old).contains("was created by Postgres 9.6, but only"), "{}", stderr_of(&old));

    let no_programs = laurel_in(folder.path(), &["migrate"]).env("PATH", "/nowhere").output().unwrap();
    let line = stderr_of(&no_programs);
    assert!(
        line.contains("redis-server was not found") || line.contains("was created by Postgres 9.6"),
        "{line}"
    );

    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let other = tempfile::tempdir().unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let refused = laurel_in(other.path(), &["serve"]).env("PORT", &port).output().unwrap();
    assert!(stderr_of(&refused).ends_with("set PORT to another one"), "{}", stderr_of(&refused));
    for output in [&damaged, &old, &no_programs, &refused] {
        assert!(!output.status.success());
        assert_eq!(
            stderr_of(output).lines().filter(|it| it.starts_with("laurel: ")).count(),
            1,
            "{}",
            stderr_of(output)
        );
    }

    std::fs::write(other.path().join("data/redis/appendonlydir/garbage.aof"), "x").ok();
    let manifest = other.path().join("data/redis/appendonlydir/appendonly.aof.manifest");
    std::fs::write(&manifest, "nonsense\n").unwrap();
    let broken = run(other.path(), &["migrate"]);
    assert!(stderr_of(&broken).contains("redis-server did not start"), "{}", stderr_of(&broken));
}

#[tokio::test]
async fn invalid_settings_stop_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let refused = laurel_in(folder.path(), &["serve"])
        .env("JWT_SECRET", "short")
        .env("LAUREL_LIMITS__UPDATES_PER_MINUTE", "ten")
        .env("LAUREL_NO__SUCH_SETTING", "1")
        .output()
        .unwrap();
    let line = stderr_of(&refused);
    assert!(line.contains("3 problems in the configuration"), "{line}");
    assert!(!folder.path().join("data").exists(), "nothing was created");
}

/// Finds the process of a store by its name and the folder in its command line.
fn find_pid(folder: &Path, name: &str) -> Option<i32> {
    let folder = folder.canonicalize().unwrap();
    let text = |pid: &Path, file: &str| std::fs::read_to_string(pid.join(file)).unwrap_or_default();
    let matches = |pid: &Path| {
        text(pid, "comm").trim() == name && text(pid, "cmdline").contains(folder.to_str().unwrap())
    };
    let found = std::fs::read_dir("/proc").unwrap().flatten().map(|it| it.path()).find(|pid| matches(pid))?;
    found.file_name()?.to_str()?.parse().ok()
}

#[tokio::test]
async fn a_killed_redis_is_restarted() {
    let folder = tempfile::tempdir().unwrap();
    let (mut node, output) = serve(folder.path());
    let base = output.lines().next().unwrap().rsplit(' ').next().unwrap().to_owned();
    let awards = format!("{base}/readyz/awards");
    let ready = async || reqwest::get(&awards).await.is_ok_and(|it| it.status() == 200).then_some(());
    eventually("awards to be accepted", ready).await;
    let first = eventually("Redis to run", async || find_pid(folder.path(), "redis-server")).await;
    // SAFETY: the process belongs to the node that this test started.
    unsafe { libc::kill(first, libc::SIGKILL) };
    let second = eventually("another Redis", async || {
        find_pid(folder.path(), "redis-server").filter(|pid| *pid != first)
    })
    .await;
    assert_ne!(first, second);
    eventually("awards to be accepted again", ready).await;
    node.kill().unwrap();
    node.wait().unwrap();
}

#[test]
fn only_serve_seed_and_migrate_create_stores() {
    let folder = tempfile::tempdir().unwrap();
    let commands: [&[&str]; 5] = [
        &["verify"],
        &["verify", "--ledger"],
        &["rebuild"],
        &["admin", "ban", "1", "--reason", "a test"],
        &["ledger", "detach", "--before", "2020-01"],
    ];
    let data = folder.path().join("data");
    for exists in [false, true] {
        if exists {
            std::fs::create_dir(&data).unwrap();
        }
        for arguments in commands {
            let refused = run(folder.path(), arguments);
            let line = stderr_of(&refused);
            assert!(!refused.status.success() && line.lines().count() == 1, "{arguments:?}: {line}");
            assert!(line.contains("DATABASE_URL") && line.contains("run `laurel serve` first"), "{line}");
            assert_eq!(line.contains("REDIS_URL"), arguments != ["verify", "--ledger"], "{line}");
            assert_eq!(data.exists(), exists, "{arguments:?}");
            assert!(!exists || std::fs::read_dir(&data).unwrap().next().is_none(), "{arguments:?}");
        }
    }
    // A command that reads a store does not create a missing one.
    std::fs::create_dir_all(data.join("postgres/cluster")).unwrap();
    let refused = run(folder.path(), &["rebuild"]);
    assert!(stderr_of(&refused).contains("has no Redis: set it"), "{}", stderr_of(&refused));
    assert!(!data.join("redis").exists());
}
