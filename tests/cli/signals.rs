//! Stop signals drain a node before it exits.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use super::{Node, read};
use crate::harness::{self, TestStores, eventually, laurel_binary};

#[tokio::test]
async fn every_stop_signal_drains_the_node() {
    let stores = TestStores::with_shards(1).await;
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP] {
        let path = stores.folder.path().join(format!("log{signal}"));
        let mut command = harness::laurel_command(&stores.config);
        command.stdout(Stdio::null()).stderr(File::create(&path).unwrap());
        let mut node = Node::start(with_hangup_action(command, libc::SIG_DFL)).await;
        node.send_signal(signal);
        assert_eq!(node.exit_code().await, Some(0), "signal {signal}");
        let log = read(&path);
        let drained =
            log.contains("draining") && log.lines().last().is_some_and(|line| line.contains("drained"));
        assert!(drained, "signal {signal}: {log}");
    }
}

/// Sets the initial action of SIGHUP for a program. A program inherits it, so it would depend on how the tests are started.
fn with_hangup_action(mut command: Command, action: libc::sighandler_t) -> Command {
    // SAFETY: signal is safe between fork and exec.
    unsafe {
        command.pre_exec(move || {
            libc::signal(libc::SIGHUP, action);
            Ok(())
        });
    }
    command
}

#[tokio::test]
async fn nohup_keeps_a_node_running() {
    let stores = TestStores::with_shards(1).await;
    let mut command = harness::laurel_command(&stores.config);
    command.stdout(Stdio::null());
    let mut node = Node::start(with_hangup_action(command, libc::SIG_IGN)).await;
    node.send_signal(libc::SIGHUP);
    node.wait_for_awards().await;
    node.send_signal(libc::SIGTERM);
    assert_eq!(node.exit_code().await, Some(0));
}

#[tokio::test]
async fn a_signal_during_the_start_ends_the_node_cleanly() {
    let folder = tempfile::tempdir().unwrap();
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP] {
        let mut command = laurel_binary();
        command.arg("serve").current_dir(folder.path()).env("PORT", "0").stdout(Stdio::null());
        let mut command = with_hangup_action(command, libc::SIG_DFL);
        let mut node = Node { child: command.spawn().unwrap(), base: String::new() };
        let log = folder.path().join("data/redis.log");
        eventually("a store to be started", async || log.exists().then_some(())).await;
        node.send_signal(signal);
        assert_eq!(node.exit_code().await, Some(0), "signal {signal}");
        let _ = std::fs::remove_file(log);
    }
    let mut command = laurel_binary();
    command.current_dir(folder.path()).stdout(Stdio::null());
    let mut node = Node::start(command).await;
    node.send_signal(libc::SIGTERM);
    assert_eq!(node.exit_code().await, Some(0));
}
