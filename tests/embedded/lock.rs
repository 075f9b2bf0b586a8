//! The lock of the data folder. It is held while any process uses the data, in whatever order processes are killed and restarted, so that
//! no command starts a second store.

use std::collections::HashSet;
use std::fs::{File, TryLockError};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use super::{laurel, pid_of, stderr_of};
use crate::harness::{TestStores, eventually};

const REDIS: &str = "redis-server";
const POSTGRES: &str = "postgres";

/// The descriptor of the inherited file in a node. No library opens that many files.
const INHERITED: i32 = 200;

/// All of them are on the board, and each ban removes one.
const USERS: u32 = 10;

/// A node with embedded stores in a folder.
struct Served {
    folder: tempfile::TempDir,
    settings: Vec<(&'static str, String)>,
    node: Child,
    base: String,
    /// Users that can still be banned.
    users: std::ops::RangeInclusive<u32>,
}

impl Served {
    /// Starts a node and seeds ten users. The node inherits an open file without close-on-exec.
    async fn start(settings: Vec<(&'static str, String)>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let foreign = File::create(folder.path().join("foreign")).unwrap();
        let mut command = laurel(folder.path(), &["serve"]);
        command.envs(settings.iter().map(|(name, value)| (name, value))).stderr(Stdio::null());
        let number = foreign.as_raw_fd();
        // SAFETY: dup2 may be called between fork and exec.
        unsafe {
            command.pre_exec(move || {
                libc::dup2(number, INHERITED);
                Ok(())
            });
        }
        let (node, output) = super::spawn_node(command);
        let base = output.lines().next().unwrap().rsplit(' ').next().unwrap().to_owned();
        let served = Self { folder, settings, node, base, users: 1..=USERS };
        let seeded = served.command(&["seed", "--users", &USERS.to_string(), "--max-score", "1000000"]);
        assert_done(&Running::spawn(seeded).finish(&served).await);
        served
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data").canonicalize().unwrap()
    }

    fn private(&self) -> Vec<&'static str> {
        let given = |name: &str| self.settings.iter().any(|setting| setting.0 == name);
        let stores = [(REDIS, "REDIS_URL"), (POSTGRES, "DATABASE_URL")];
        stores.iter().filter(|(_, url)| !given(url)).map(|(store, _)| *store).collect()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = laurel(self.folder.path(), arguments);
        command.envs(self.settings.iter().map(|(name, value)| (name, value)));
        command
    }

    fn pid(&self, store: &str) -> Option<i32> {
        if store == REDIS {
            return pid_of(self.folder.path(), store);
        }
        let text = std::fs::read_to_string(self.data().join("postgres/cluster/postmaster.pid")).ok()?;
        text.lines().next()?.parse().ok().filter(|pid: &i32| Path::new(&format!("/proc/{pid}/fd")).exists())
    }

    async fn json(&self, path: &str) -> Option<serde_json::Value> {
        reqwest::get(format!("{}{path}", self.base)).await.ok()?.json().await.ok()
    }

    async fn shown(&self) -> Option<u64> {
        self.json("/api/scoreboard/top10").await?["metadata"]["total"].as_u64()
    }

    /// Waits until awards are accepted and nothing is degraded.
    async fn wait_until_healthy(&self) {
        eventually("the node to be healthy", async || {
            let ready = self.json("/readyz/awards").await?;
            (ready["ready"] == true && ready["degraded"] == serde_json::json!([])).then_some(())
        })
        .await;
    }

    /// Kills stores and runs commands before they are back.
    async fn kill(&mut self, stores: &[&str]) {
        self.wait_until_healthy().await;
        let number = self.users.next().unwrap();
        let (user, left) = (number.to_string(), u64::from(USERS - number));
        let killed: Vec<i32> = stores.iter().map(|store| self.pid(store).unwrap()).collect();
        for pid in &killed {
            // SAFETY: the process belongs to the node that this test started.
            unsafe { libc::kill(*pid, libc::SIGKILL) };
        }
        let ban = ["admin", "ban", &user, "--reason", "a test"];
        let mut commands = [&ban[..], &["verify"]];
        if number.is_multiple_of(2) {
            commands.reverse();
        }
        for arguments in commands {
            assert_done(&Running::spawn(self.command(arguments)).finish(self).await);
        }
        for (store, killed) in stores.iter().zip(killed) {
            eventually("another process", async || self.pid(store).filter(|pid| *pid != killed)).await;
        }
        self.wait_until_healthy().await;
        // The node applies the command's change.
        eventually("the ban on the board", async || (self.shown().await? == left).then_some(())).await;
        self.assert_held(stores);
    }

    fn assert_held(&self, stores: &[&str]) {
        let lock = File::open(self.data().join("laurel.lock")).unwrap();
        assert!(matches!(lock.try_lock(), Err(TryLockError::WouldBlock)), "after {stores:?}");
        let node = files_of(self.node.id() as i32);
        for store in self.private() {
            let pid = self.pid(store).unwrap();
            let files = files_of(pid);
            assert!(files.contains(&lock_path(self)), "{store} holds the lock: {files:?}");
            // Files that are open in the store and in the node were inherited.
            let expected = [lock_path(self), self.data().join("postgres"), "/dev/null".into()];
            let logs = ["redis.log", "postgres.log"].map(|name| self.data().join(name));
            for file in
                files.intersection(&node).filter(|file| !file.to_string_lossy().starts_with("anon_inode:"))
            {
                assert!(expected.contains(file) || logs.contains(file), "{store} has {}", file.display());
            }
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.node.kill();
        let _ = self.node.wait();
    }
}

fn lock_path(served: &Served) -> PathBuf {
    served.data().join("laurel.lock")
}

/// The open files of a process.
fn files_of(pid: i32) -> HashSet<PathBuf> {
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    open.filter_map(|file| std::fs::read_link(file.path()).ok()).collect()
}

/// Processes that have a file of a folder open.
fn processes_with(folder: &Path) -> usize {
    let pids = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| files_of(*pid).iter().any(|file| file.starts_with(folder))).count()
}

/// A running command.
struct Running(Child);

impl Running {
    fn spawn(mut command: Command) -> Self {
        Self(command.spawn().unwrap())
    }

    fn ended(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }

    /// Waits for its end, and checks that at most one process has the append-only file open.
    async fn finish(mut self, served: &Served) -> Output {
        let appended = served.data().join("redis/appendonlydir");
        eventually("a command to end", || {
            assert!(processes_with(&appended) <= 1, "a second Redis on one append-only file");
            std::future::ready(self.ended().then_some(()))
        })
        .await;
        self.0.wait_with_output().unwrap()
    }
}

#[track_caller]
fn assert_done(output: &Output) {
    assert!(output.status.success(), "{}{}", stderr_of(output), String::from_utf8_lossy(&output.stdout));
}

#[tokio::test]
async fn the_lock_is_held_while_stores_restart() {
    let mut served = Served::start(Vec::new()).await;
    for stores in [&[REDIS][..], &[POSTGRES], &[REDIS, POSTGRES], &[POSTGRES, REDIS], &[POSTGRES], &[REDIS]] {
        served.kill(stores).await;
    }
}

#[tokio::test]
async fn the_lock_is_held_with_embedded_redis_only() {
    let stores = TestStores::with_shards(1).await;
    let url = stores.config.postgres.url.expose().to_string();
    let mut served = Served::start(vec![("DATABASE_URL", url)]).await;
    for _ in 0..2 {
        served.kill(&[REDIS]).await;
    }
}

#[tokio::test]
async fn the_lock_is_held_with_embedded_postgres_only() {
    let stores = TestStores::with_shards(1).await;
    let mut served = Served::start(vec![("REDIS_URL", stores.redis.url.clone())]).await;
    for _ in 0..2 {
        served.kill(&[POSTGRES]).await;
    }
}

#[tokio::test]
async fn a_deleted_lock_allows_no_second_store() {
    let served = Served::start(Vec::new()).await;
    served.wait_until_healthy().await;
    for deleted in ["laurel.lock", "laurel.pid"] {
        std::fs::remove_file(served.data().join(deleted)).unwrap();
        assert_done(&Running::spawn(served.command(&["verify"])).finish(&served).await);
        let refused = Running::spawn(served.command(&["serve"])).finish(&served).await;
        assert!(!refused.status.success());
        assert_eq!(stderr_of(&refused).lines().count(), 1, "{}", stderr_of(&refused));
        assert!(stderr_of(&refused).contains("is in use by "), "{}", stderr_of(&refused));
    }
    served.wait_until_healthy().await;
    assert!(std::os::unix::net::UnixStream::connect(served.data().join("redis/redis.sock")).is_ok());
}

#[tokio::test]
async fn stores_of_a_killed_node_are_waited_for() {
    let mut served = Served::start(Vec::new()).await;
    served.wait_until_healthy().await;
    let redis = served.pid(REDIS).unwrap();
    // The kernel sends Redis a signal when the node dies, but a stopped process does not handle it.
    // SAFETY: the process belongs to the node that this test started.
    unsafe { libc::kill(redis, libc::SIGSTOP) };
    served.node.kill().unwrap();
    served.node.wait().unwrap();
    let mut verify = Running::spawn(served.command(&["verify"]));
    let lock = lock_path(&served);
    let pid = verify.0.id() as i32;
    eventually("it to ask for the lock", async || files_of(pid).contains(&lock).then_some(())).await;
    assert!(!verify.ended());
    // SAFETY: as above; it is not reaped yet, so the pid is its own.
    unsafe { libc::kill(redis, libc::SIGCONT) };
    assert_done(&verify.finish(&served).await);
}

#[tokio::test]
async fn a_reused_pid_is_no_node() {
    let mut served = Served::start(Vec::new()).await;
    served.wait_until_healthy().await;
    // SAFETY: a child of ours that was not reaped yet.
    unsafe { libc::kill(served.node.id() as libc::pid_t, libc::SIGTERM) };
    assert!(served.node.wait().unwrap().success());
    // As after a restart of the machine: the pid is that of this test, which is no Laurel, but holds the lock as a store would.
    for name in ["laurel.lock", "laurel.pid"] {
        std::fs::write(served.data().join(name), format!("{}\n", std::process::id())).unwrap();
    }
    let lock = File::open(lock_path(&served)).unwrap();
    lock.lock().unwrap();
    let mut verify = Running::spawn(served.command(&["verify"]));
    let (pid, path) = (verify.0.id() as i32, lock_path(&served));
    eventually("it to ask for the lock", async || files_of(pid).contains(&path).then_some(())).await;
    assert!(!verify.ended());
    lock.unlock().unwrap();
    let verified = verify.finish(&served).await;
    assert_done(&verified);
    assert!(String::from_utf8_lossy(&verified.stdout).contains("10 users"));
}
