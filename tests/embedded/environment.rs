//! The environment of embedded stores: variables of the shell, any folder name, and files that a killed store left.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command};

use super::{laurel, run, serve, spawn_node, stderr_of};

/// Stops a node with SIGTERM. It must exit with success.
fn stop(mut node: Child) {
    // SAFETY: a child of ours that was not reaped yet.
    unsafe { libc::kill(node.id() as libc::pid_t, libc::SIGTERM) };
    assert!(node.wait().unwrap().success());
}

#[track_caller]
fn assert_verified(mut command: Command, users: &str) {
    let verified = command.output().unwrap();
    let output = String::from_utf8_lossy(&verified.stdout);
    assert!(verified.status.success() && output.contains(users), "{output}{}", stderr_of(&verified));
}

#[test]
fn pg_variables_are_ignored() {
    let variables = [
        ("PGSSLMODE", "require"),
        ("PGSSLROOTCERT", "/nowhere.pem"),
        ("PGOPTIONS", "-c search_path=x -c default_transaction_read_only=on"),
        ("PGPORT", "6543"),
        ("PGHOST", "nowhere.example"),
        ("PGHOSTADDR", "192.0.2.1"),
        ("PGUSER", "mallory"),
        ("PGDATABASE", "other"),
        ("PGPASSWORD", "hunter2"),
        ("PGDATA", "/nowhere"),
        ("PGTZ", "nonsense"),
        ("PGDATESTYLE", "nonsense"),
        ("PGCLIENTENCODING", "LATIN1"),
        ("PGAPPNAME", "laurel/0"),
    ];
    let folder = tempfile::tempdir().unwrap();
    let with = |arguments: &[&str], variables: &[(&str, &str)]| {
        let mut command = laurel(folder.path(), arguments);
        command.envs(variables.iter().copied());
        command
    };
    let (node, output) = spawn_node(with(&["serve"], &variables));
    assert!(output.contains("Laurel serves"), "{output}");
    let seeded = with(&["seed", "--users", "7"], &[]).output().unwrap();
    assert!(seeded.status.success(), "{}", stderr_of(&seeded));
    for variable in variables {
        assert_verified(with(&["verify"], &[variable]), "7 users");
    }
    // The printed URLs work with these variables, too.
    let line = output.lines().find(|it| it.contains("DATABASE_URL=")).unwrap();
    let url = |name: &str| line.split(name).nth(1).unwrap().split('\'').nth(1).unwrap();
    let mut joined =
        with(&["verify"], &variables.map(|it| if it.0 == "PGOPTIONS" { ("PGX", "x") } else { it }));
    joined.env("REDIS_URL", url("REDIS_URL=")).env("DATABASE_URL", url("DATABASE_URL="));
    joined.env("JWT_SECRET", std::fs::read_to_string(folder.path().join("data/jwt_secret")).unwrap().trim());
    assert_verified(joined, "7 users");
    stop(node);
    assert_verified(with(&["verify"], &variables), "7 users");
}

#[test]
fn the_data_folder_may_have_any_name() {
    let outer = tempfile::tempdir().unwrap();
    for name in [&b"caf\xe9"[..], b"\xff\xfe", b"with space", b"a%20b?c#d&e='f", "ünï".as_bytes()] {
        let folder = outer.path().join(OsStr::from_bytes(name));
        std::fs::create_dir(&folder).unwrap();
        let (node, output) = serve(&folder);
        assert!(output.contains("Laurel serves"), "{}: {output}", folder.display());
        let seeded = run(&folder, &["seed", "--users", "3"]);
        assert!(seeded.status.success(), "{}: {}", folder.display(), stderr_of(&seeded));
        assert_verified(laurel(&folder, &["verify"]), "3 users");
        stop(node);
        assert_verified(laurel(&folder, &["verify"]), "3 users");
    }
}

/// A process of the Postgres account that is no Postgres.
fn unrelated_process(cluster: &Path, program: &str) -> Child {
    let owner = std::fs::metadata(cluster).unwrap();
    let mut command = Command::new(program);
    if owner.uid() != 0 && std::fs::metadata("/proc/self").unwrap().uid() == 0 {
        command.uid(owner.uid()).gid(owner.gid());
    }
    command.arg("1000").current_dir("/").spawn().unwrap()
}

#[test]
fn a_stale_postmaster_pid_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = folder.path().join("data/postgres/cluster");
    let path = cluster.join("postmaster.pid");
    let (node, _) = serve(folder.path());
    let running = std::fs::read_to_string(&path).unwrap();
    let rest = running.split_once('\n').unwrap().1.to_owned();
    stop(node);
    let mut alive = unrelated_process(&cluster, "sleep");
    // A zombie until the end of the test.
    let mut zombie = unrelated_process(&cluster, "true");
    let gone = i32::MAX.to_string();
    for pid in [alive.id().to_string(), zombie.id().to_string(), gone, "1".to_owned()] {
        std::fs::write(&path, format!("{pid}\n{rest}")).unwrap();
        let (node, output) = serve(folder.path());
        assert!(output.contains("Laurel serves"), "pid {pid}: {output}");
        stop(node);
    }
    // As after a power failure.
    for text in ["", "12"] {
        std::fs::write(&path, text).unwrap();
        let (node, output) = serve(folder.path());
        assert!(output.contains("Laurel serves"), "{text:?}: {output}");
        stop(node);
    }
    alive.kill().unwrap();
    alive.wait().unwrap();
    zombie.wait().unwrap();
}
