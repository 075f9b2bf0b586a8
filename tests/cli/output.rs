//! A closed pipe, a full disk and a reader that does not read neither end a node nor stop its drain.

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

/// A full pipe and its unread end.
fn stuck_pipe() -> (PipeReader, OwnedFd) {
    let (reader, mut writer) = pipe().unwrap();
    ioctl_fionbio(&writer, true).unwrap();
    while writer.write(&[b'x'; 4096]).is_ok() {}
    assert_eq!(writer.write(b"x").unwrap_err().kind(), ErrorKind::WouldBlock);
    ioctl_fionbio(&writer, false).unwrap();
    (reader, writer.into())
}

/// Standard output and standard error of a node; pipe ends that must stay open; and a pipe end that is read once.
struct Streams {
    name: &'static str,
    out: Stdio,
    err: Stdio,
    _kept: Option<PipeReader>,
    read_once: Option<PipeReader>,
}

fn streams() -> Vec<Streams> {
    let with = |name, out, err| Streams { name, out, err, _kept: None, read_once: None };
    let both = broken_pipe();
    let (stuck_end, stuck) = stuck_pipe();
    let (both_end, stuck_both) = stuck_pipe();
    let (first, first_writer) = pipe().unwrap();
    let (tee, tee_writer) = pipe().unwrap();
    vec![
        with("full stderr", Stdio::null(), full_disk().into()),
        with("full stdout", full_disk().into(), Stdio::null()),
        with("both full", full_disk().into(), full_disk().into()),
        with("stdout without a reader", broken_pipe().into(), Stdio::null()),
        with("stderr without a reader", Stdio::null(), broken_pipe().into()),
        with("both to one pipe without a reader", both.try_clone().unwrap().into(), both.into()),
        Streams { _kept: Some(stuck_end), ..with("a stuck reader", Stdio::null(), stuck.into()) },
        Streams {
            _kept: Some(both_end),
            ..with("a stuck reader of both", stuck_both.try_clone().unwrap().into(), stuck_both.into())
        },
        Streams { read_once: Some(first), ..with("head -1", Stdio::null(), first_writer.into()) },
        Streams {
            read_once: Some(tee),
            ..with("tee that ends", tee_writer.try_clone().unwrap().into(), tee_writer.into())
        },
    ]
}

#[tokio::test]
async fn a_node_survives_and_drains_without_a_log_reader() {
    let stores = TestStores::with_shards(1).await;
    for format in ["text", "json"] {
        for Streams { name, out, err, _kept, read_once } in streams() {
            let mut command = harness::laurel_command(&stores.config);
            command.stdout(out).stderr(err).env("LAUREL_LOG__FORMAT", format);
            let mut node = Node::start(command).await;
            if let Some(mut end) = read_once {
                assert!(end.read(&mut [0; 64]).unwrap() > 0, "{name}");
            }
            node.takes_awards().await;
            node.signal(libc::SIGTERM);
            assert_eq!(node.exit_code().await, Some(0), "{name}, {format}");
        }
    }
}

/// Commands that succeed and print something.
fn commands(stores: &TestStores) -> Vec<(&'static str, Command)> {
    let of = |words: &'static str| {
        let mut command = harness::laurel_command(&stores.config);
        // A rebuild logs a warning.
        command.args(words.split(' ')).stdin(Stdio::null()).env("RUST_LOG", "error");
        (words, command)
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
    .map(of)
    .into()
}

#[tokio::test]
async fn commands_report_a_full_disk_but_not_a_broken_pipe() {
    let stores = TestStores::with_shards(1).await;
    for (words, mut command) in commands(&stores) {
        command.stdout(broken_pipe());
        let ended = run(command).await;
        assert_eq!((ended.status.code(), text(&ended.stderr).as_str()), (Some(141), ""), "{words}");
    }
    for (words, mut command) in commands(&stores) {
        command.stdout(full_disk());
        let ended = run(command).await;
        let complaint = text(&ended.stderr);
        assert_eq!(ended.status.code(), Some(1), "{words}: {complaint}");
        assert!(complaint.starts_with("laurel: cannot write to standard output: "), "{words}: {complaint}");
        assert_eq!(complaint.lines().count(), 1, "{words}: {complaint}");
    }
}

#[tokio::test]
async fn a_failure_that_cannot_be_printed_still_exits_with_an_error() {
    for arguments in [&["serve"][..], &["verify"], &["nonsense"], &["receipt", "verify", "x"], &["watch"]] {
        for err in [broken_pipe(), full_disk()] {
            let mut command = laurel_binary();
            command.args(arguments).env("PORT", "nowhere").env("JWT_SECRET", "weak").stderr(err);
            let ended = run(command).await;
            assert!([Some(1), Some(2)].contains(&ended.status.code()), "{arguments:?}: {:?}", ended.status);
        }
    }
    for (out, code) in [(broken_pipe(), [0, 141]), (full_disk(), [0, 1])] {
        let mut command = laurel_binary();
        command.arg("--help").stdout(out);
        let ended = run(command).await;
        assert!(ended.status.code().is_some_and(|it| code.contains(&it)), "{:?}", ended.status);
    }
}
