//! The lock of the data folder is held while any process uses the data, in any order of kills and restarts. So no command starts a second
//! store.

use std::fs::{File, TryLockError};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use super::{count_processes_with, find_pid, laurel_in, open_files, stderr_of, stop};
use crate::harness::{TestStores, eventually};

const REDIS: &str = "redis-server";
const POSTGRES: &str = "postgres";

/// The file descriptor that a node inherits. No library opens that many files.
const INHERITED_FD: i32 = 200;

/// The number of seeded users. All are on the board, and each ban removes one.
const USERS: u32 = 10;

/// A node with embedded stores in a folder.
struct EmbeddedNode {
    folder: tempfile::TempDir,
    settings: Vec<(&'static str, String)>,
    process: Child,
    base: String,
    /// Users that can still be banned.
    users: std::ops::RangeInclusive<u32>,
}

impl EmbeddedNode {
    /// Starts a node and seeds ten users. The node inherits an open file without close-on-exec.
    async fn start(settings: Vec<(&'static str, String)>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let inherited = File::create(folder.path().join("inherited")).unwrap();
        let mut command = laurel_in(folder.path(), &["serve"]);
        command.envs(settings.iter().map(|(name, value)| (name, value))).stderr(Stdio::null());
        let fd = inherited.as_raw_fd();
        // SAFETY: dup2 may be called between fork and exec.
        unsafe {
            command.pre_exec(move || {
                libc::dup2(fd, INHERITED_FD);
                Ok(())
            });
        }
        let (process, output) = super::spawn_node(command);
        let base = output.lines().next().unwrap().rsplit(' ').next().unwrap().to_owned();
        let node = Self { folder, settings, process, base, users: 1..=USERS };
        let seeded = node.command(&["seed", "--users", &USERS.to_string(), "--max-score", "1000000"]);
        assert_success(&RunningCommand::spawn(seeded).finish(&node).await);
        node
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data").canonicalize().unwrap()
    }

    /// The stores that are embedded.
    fn embedded_stores(&self) -> Vec<&'static str> {
        let is_set = |name: &str| self.settings.iter().any(|setting| setting.0 == name);
        let stores = [(REDIS, "REDIS_URL"), (POSTGRES, "DATABASE_URL")];
        stores.iter().filter(|(_, url)| !is_set(url)).map(|(store, _)| *store).collect()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = laurel_in(self.folder.path(), arguments);
        command.envs(self.settings.iter().map(|(name, value)| (name, value)));
        command
    }

    fn pid(&self, store: &str) -> Option<i32> {
        if store == REDIS {
            return find_pid(self.folder.path(), store);
        }
        let text = std::fs::read_to_string(self.data().join("postgres/cluster/postmaster.pid")).ok()?;
        text.lines().next()?.parse().ok().filter(|pid: &i32| Path::new(&format!("/proc/{pid}/fd")).exists())
    }

    async fn json(&self, path: &str) -> Option<serde_json::Value> {
        reqwest::get(format!("{}{path}", self.base)).await.ok()?.json().await.ok()
    }

    /// The number of players on the board.
    async fn board_total(&self) -> Option<u64> {
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

    /// Kills stores and runs commands before the node has restarted them.
    async fn kill_stores(&mut self, stores: &[&str]) {
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
            assert_success(&RunningCommand::spawn(self.command(arguments)).finish(self).await);
        }
        for (store, killed) in stores.iter().zip(killed) {
            eventually("another process", async || self.pid(store).filter(|pid| *pid != killed)).await;
        }
        self.wait_until_healthy().await;
        // The node applies the ban of the command.
        eventually("the ban on the board", async || (self.board_total().await? == left).then_some(())).await;
        self.assert_lock_is_held(stores);
    }

    fn assert_lock_is_held(&self, stores: &[&str]) {
        let lock = File::open(self.data().join("laurel.lock")).unwrap();
        assert!(matches!(lock.try_lock(), Err(TryLockError::WouldBlock)), "after {stores:?}");
        let node_files = open_files(self.process.id() as i32);
        for store in self.embedded_stores() {
            let pid = self.pid(store).unwrap();
            let files = open_files(pid);
            assert!(files.contains(&lock_path(self)), "{store} holds the lock: {files:?}");
            // Files that both the store and the node have open were inherited.
            let expected = [lock_path(self), self.data().join("postgres"), "/dev/null".into()];
            let logs = ["redis.log", "postgres.log"].map(|name| self.data().join(name));
            for file in files
                .intersection(&node_files)
                .filter(|file| !file.to_string_lossy().starts_with("anon_inode:"))
            {
                assert!(expected.contains(file) || logs.contains(file), "{store} has {}", file.display());
            }
        }
    }
}

impl Drop for EmbeddedNode {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn lock_path(node: &EmbeddedNode) -> PathBuf {
    node.data().join("laurel.lock")
}

/// A running command.
struct RunningCommand(Child);

impl RunningCommand {
    fn spawn(mut command: Command) -> Self {
        Self(command.spawn().unwrap())
    }

    fn has_ended(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }

    /// Waits until the command ends. Meanwhile at most one process may have the append-only file open.
    async fn finish(mut self, node: &EmbeddedNode) -> Output {
        let append_only = node.data().join("redis/appendonlydir");
        eventually("a command to end", || {
            assert!(count_processes_with(&append_only) <= 1, "a second Redis on one append-only file");
            std::future::ready(self.has_ended().then_some(()))
        })
        .await;
        self.0.wait_with_output().unwrap()
    }
}

#[track_caller]
fn assert_success(output: &Output) {
    assert!(output.status.success(), "{}{}", stderr_of(output), String::from_utf8_lossy(&output.stdout));
}

#[tokio::test]
async fn the_lock_is_held_while_stores_restart() {
    let mut node = EmbeddedNode::start(Vec::new()).await;
    for stores in [&[REDIS][..], &[POSTGRES], &[REDIS, POSTGRES], &[POSTGRES, REDIS], &[POSTGRES], &[REDIS]] {
        node.kill_stores(stores).await;
    }
}

#[tokio::test]
async fn the_lock_is_held_with_embedded_redis_only() {
    let stores = TestStores::with_shards(1).await;
    let url = stores.config.postgres.url.expose().to_string();
    let mut node = EmbeddedNode::start(vec![("DATABASE_URL", url)]).await;
    for _ in 0..2 {
        node.kill_stores(&[REDIS]).await;
    }
}

#[tokio::test]
async fn the_lock_is_held_with_embedded_postgres_only() {
    let stores = TestStores::with_shards(1).await;
    let mut node = EmbeddedNode::start(vec![("REDIS_URL", stores.redis.url.clone())]).await;
    for _ in 0..2 {
        node.kill_stores(&[POSTGRES]).await;
    }
}

#[tokio::test]
async fn a_deleted_lock_allows_no_second_store() {
    let node = EmbeddedNode::start(Vec::new()).await;
    node.wait_until_healthy().await;
    for deleted in ["laurel.lock", "laurel.pid"] {
        std::fs::remove_file(node.data().join(deleted)).unwrap();
        assert_success(&RunningCommand::spawn(node.command(&["verify"])).finish(&node).await);
        let refused = RunningCommand::spawn(node.command(&["serve"])).finish(&node).await;
        assert!(!refused.status.success());
        assert_eq!(stderr_of(&refused).lines().count(), 1, "{}", stderr_of(&refused));
        assert!(stderr_of(&refused).contains("is in use by "), "{}", stderr_of(&refused));
    }
    node.wait_until_healthy().await;
    assert!(std::os::unix::net::UnixStream::connect(node.data().join("redis/redis.sock")).is_ok());
}

#[tokio::test]
async fn a_command_waits_for_the_stores_of_a_killed_node() {
    let mut node = EmbeddedNode::start(Vec::new()).await;
    node.wait_until_healthy().await;
    let redis = node.pid(REDIS).unwrap();
    // The kernel sends Redis a signal when the node dies, but a stopped process does not handle it.
    // SAFETY: the process belongs to the node that this test started.
    unsafe { libc::kill(redis, libc::SIGSTOP) };
    node.process.kill().unwrap();
    node.process.wait().unwrap();
    let mut verify = RunningCommand::spawn(node.command(&["verify"]));
    let lock = lock_path(&node);
    let pid = verify.0.id() as i32;
    eventually("the command to open the lock", async || open_files(pid).contains(&lock).then_some(())).await;
    assert!(!verify.has_ended());
    // SAFETY: the process is stopped, so it still has this pid.
    unsafe { libc::kill(redis, libc::SIGCONT) };
    assert_success(&verify.finish(&node).await);
}

#[tokio::test]
async fn a_reused_pid_is_no_node() {
    let mut node = EmbeddedNode::start(Vec::new()).await;
    node.wait_until_healthy().await;
    stop(&mut node.process);
    // A restart of the machine can leave a pid that another process has by now. Here it is this test, which holds the lock as a store would.
    for name in ["laurel.lock", "laurel.pid"] {
        std::fs::write(node.data().join(name), format!("{}\n", std::process::id())).unwrap();
    }
    let lock = File::open(lock_path(&node)).unwrap();
    lock.lock().unwrap();
    let mut verify = RunningCommand::spawn(node.command(&["verify"]));
    let (pid, path) = (verify.0.id() as i32, lock_path(&node));
    eventually("the command to open the lock", async || open_files(pid).contains(&path).then_some(())).await;
    assert!(!verify.has_ended());
    lock.unlock().unwrap();
    let verified = verify.finish(&node).await;
    assert_success(&verified);
    assert!(String::from_utf8_lossy(&verified.stdout).contains("10 users"));
}
