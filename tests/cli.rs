//! The program as a process: output, signals, log, settings and audit.

mod commands;
mod log;
mod operator;
mod output;
mod settings;
mod signals;

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Output};

use crate::harness::eventually;

/// A free port.
fn free_port() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string()
}

/// A node used over HTTP only, because its output goes elsewhere.
struct Node {
    child: Child,
    base: String,
}

impl Node {
    /// Starts the node and waits until it accepts awards.
    async fn start(mut command: Command) -> Self {
        let port = free_port();
        command.arg("serve").env("PORT", &port).env("LAUREL_SERVER__DRAIN_SECONDS", "1");
        let mut node = Self { child: command.spawn().unwrap(), base: format!("http://127.0.0.1:{port}") };
        node.takes_awards().await;
        node
    }

    async fn takes_awards(&mut self) {
        let awards = format!("{}/readyz/awards", self.base);
        eventually("awards to be taken", || {
            assert!(self.child.try_wait().unwrap().is_none(), "the node ended");
            let asked = reqwest::get(awards.clone());
            async { asked.await.is_ok_and(|it| it.status() == 200).then_some(()) }
        })
        .await;
    }

    fn signal(&self, signal: i32) {
        // SAFETY: the pid is a child that was not reaped yet.
        unsafe { libc::kill(self.child.id() as libc::pid_t, signal) };
    }

    /// Waits for the exit.
    async fn exit_code(&mut self) -> Option<i32> {
        let ended = || std::future::ready(self.child.try_wait().unwrap());
        eventually("the node to end", ended).await.code()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The write end of a pipe without a reader.
fn broken_pipe() -> OwnedFd {
    std::io::pipe().unwrap().1.into()
}

async fn run(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn read(path: &Path) -> String {
    text(&std::fs::read(path).unwrap())
}
