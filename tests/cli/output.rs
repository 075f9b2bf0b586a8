//! A closed pipe, a full disk and a stuck reader neither end a node nor stop its drain.

use std::fs::File;
use std::io::{ErrorKind, PipeReader, Read, Write, pipe};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};

use rustix::io::ioctl_fionbio;

use super::{Node, broken_pipe, run, text};
use crate::harness::{self, TestStores, laurel_binary};

fn full_disk() -> OwnedFd {
    File::options().write(true).open("/dev/full").unwrap().into()
}

/// A full pipe. Returns the end that nobody reads, and the full end.
fn stuck_pipe() -> (PipeReader, OwnedFd) {
    let (reader, mut writer) = pipe().unwrap();
    ioctl_fionbio(&writer, true).unwrap();
    while writer.write(&[b'x'; 4096]).is_ok() {}
    assert_eq!(writer.write(b"x").unwrap_err().kind(), ErrorKind::WouldBlock);
    ioctl_fionbio(&writer, false).unwrap();
    (reader, writer.into())
}

/// Standard output and standard error of a node.
struct Streams {
    name: &'static str,
    out: Stdio,
    err: Stdio,
    /// A pipe end that must stay open.
    _open: Option<PipeReader>,
    /// A pipe end that the test reads once and closes.
    read_once: Option<PipeReader>,
}

fn all_streams() -> Vec<Streams> {
    let streams = |name, out, err| Streams { name, out, err, _open: None, read_once: None };
    let both = broken_pipe();
    let (stuck_end, stuck) = stuck_pipe();
    let (both_end, stuck_both) = stuck_pipe();
    let (first, first_writer) = pipe().unwrap();
    let (tee, tee_writer) = pipe().unwrap();
    vec![
        streams("full stderr", Stdio::null(), full_disk().into()),
        streams("full stdout", full_disk().into(), Stdio::null()),
        streams("both full", full_disk().into(), full_disk().into()),
        streams("stdout without a reader", broken_pipe().into(), Stdio::null()),
        streams("stderr without a reader", Stdio::null(), broken_pipe().into()),
        streams("both to one pipe without a reader", both.try_clone().unwrap().into(), both.into()),
        Streams { _open: Some(stuck_end), ..streams("a stuck reader", Stdio::null(), stuck.into()) },
        Streams {
            _open: Some(both_end),
            ..streams("a stuck reader of both", stuck_both.try_clone().unwrap().into(), stuck_both.into())
        },
        Streams { read_once: Some(first), ..streams("head -1", Stdio::null(), first_writer.into()) },
        Streams {
            read_once: Some(tee),
            ..streams("tee that ends", tee_writer.try_clone().unwrap().into(), tee_writer.into())
        },
    ]
}

#[tokio::test]
async fn a_node_survives_and_drains_without_a_log_reader() {
    let stores = TestStores::with_shards(1).await;
    for format in ["text", "json"] {
        for Streams { name, out, err, _open, read_once } in all_streams() {
            let mut command = harness::laurel_command(&stores.config);
            command.stdout(out).stderr(err).env("LAUREL_LOG__FORMAT", format);
            let mut node = Node::start(command).await;
            if let Some(mut reader) = read_once {
                assert!(reader.read(&mut [0; 64]).unwrap() > 0, "{name}");
            }
            node.wait_for_awards().await;
            node.send_signal(libc::SIGTERM);
            assert_eq!(node.exit_code().await, Some(0), "{name}, {format}");
        }
    }
}

/// Commands that succeed and print something.
fn commands(stores: &TestStores) -> Vec<(&'static str, Command)> {
    let command = |command_line: &'static str| {
        let mut command = harness::laurel_command(&stores.config);
        // A rebuild logs a warning.
        command.args(command_line.split(' ')).stdin(Stdio::null()).env("RUST_LOG", "error");
        (command_line, command)
    };
    [
        "openapi",
        "asyncapi",
        "migrate",
        "seed --users 1",
        "verify",
        "verify --ledger",
        "rebuild",
        "admin dead-letters list",
        "admin grant 1 --reason trusted",
        "ledger detach --before 2020-01",
    ]
    .map(command)
    .into()
}

#[tokio::test]
async fn commands_report_a_full_disk_but_not_a_broken_pipe() {
    let stores = TestStores::with_shards(1).await;
    for (command_line, mut command) in commands(&stores) {
        command.stdout(broken_pipe());
        let output = run(command).await;
        assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(141), ""), "{command_line}");
    }
    for (command_line, mut command) in commands(&stores) {
        command.stdout(full_disk());
        let output = run(command).await;
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{command_line}: {message}");
        assert!(
            message.starts_with("laurel: cannot write to standard output: "),
            "{command_line}: {message}"
        );
        assert_eq!(message.lines().count(), 1, "{command_line}: {message}");
    }
}

#[tokio::test]
async fn an_unprintable_error_exits_with_an_error() {
    for arguments in [&["serve"][..], &["verify"], &["nonsense"], &["receipt", "verify", "x"], &["watch"]] {
        for err in [broken_pipe(), full_disk()] {
            let mut command = laurel_binary();
            command.args(arguments).env("PORT", "nowhere").env("JWT_SECRET", "weak").stderr(err);
            let output = run(command).await;
            assert!([Some(1), Some(2)].contains(&output.status.code()), "{arguments:?}: {:?}", output.status);
        }
    }
    for (out, codes) in [(broken_pipe(), [0, 141]), (full_disk(), [0, 1])] {
        let mut command = laurel_binary();
        command.arg("--help").stdout(out);
        let output = run(command).await;
        assert!(output.status.code().is_some_and(|exit| codes.contains(&exit)), "{:?}", output.status);
    }
}
