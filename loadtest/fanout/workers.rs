//! The worker processes, as the load test controls them.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use hdrhistogram::Histogram;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::messages::{Protocol, Report, WorkerCommand, WorkerReply};
use crate::usage::precise_process_seconds;

/// A worker that does not answer by then has failed.
const REPLY_TIMEOUT: Duration = Duration::from_secs(180);
/// Of each worker.
const MAX_CONCURRENT_HANDSHAKES: usize = 256;

/// Each worker connects from its own address: an address has 28,000 ports, and those of closed connections stay in use for a minute.
static ADDRESSES: AtomicU32 = AtomicU32::new(0);

/// Several workers, because a process may open only 20,000 files.
pub struct Workers(Vec<Worker>);

struct Worker {
    child: Child,
    commands: ChildStdin,
    replies: Lines<BufReader<ChildStdout>>,
}

/// The sum of the workers' reports.
pub struct Totals {
    pub deliveries: u64,
    pub refused: u64,
    pub times: Histogram<u64>,
}

impl Workers {
    /// Starts workers, each with this many logins of the file.
    pub fn start(workers: usize, logins: &Path, logins_each: usize) -> Self {
        Self((0..workers).map(|place| Worker::start(logins, place * logins_each)).collect())
    }

    /// Connects this many clients of each worker to that worker's address, and waits until all have a board.
    pub async fn connect(&mut self, protocol: Protocol, count: usize, addresses: &[SocketAddrV4]) {
        let max_concurrent_handshakes = MAX_CONCURRENT_HANDSHAKES;
        self.ask(|worker| {
            let address = addresses[worker];
            WorkerCommand::Connect { protocol, count, address, max_concurrent_handshakes }
        })
        .await;
    }

    /// Waits until all clients have a version. Returns the microseconds from the change to the last client.
    pub async fn await_version(&mut self, version: u64) -> u64 {
        let replies = self.ask(|_| WorkerCommand::AwaitVersion { version }).await;
        let times = replies.iter().map(|reply| match reply {
            WorkerReply::Received { last_us } => *last_us,
            other => panic!("{other:?}"),
        });
        times.max().unwrap()
    }

    /// The counts since the last report. Panics if a client received a version that was not newer.
    pub async fn totals(&mut self) -> Totals {
        let mut totals = Totals { deliveries: 0, refused: 0, times: Histogram::new(3).unwrap() };
        for reply in self.ask(|_| WorkerCommand::Report).await {
            let WorkerReply::Report(report) = reply else { panic!("{reply:?}") };
            totals.add(&report);
        }
        totals
    }

    /// CPU seconds of all workers.
    pub fn cpu_seconds(&self) -> f64 {
        self.0.iter().map(|worker| precise_process_seconds(worker.child.id().unwrap())).sum()
    }

    /// Sends each worker its command, then reads all replies.
    async fn ask(&mut self, command: impl Fn(usize) -> WorkerCommand) -> Vec<WorkerReply> {
        for (place, worker) in self.0.iter_mut().enumerate() {
            let line = serde_json::to_string(&command(place)).unwrap() + "\n";
            worker.commands.write_all(line.as_bytes()).await.unwrap();
        }
        let mut replies = Vec::with_capacity(self.0.len());
        for worker in &mut self.0 {
            let line = tokio::time::timeout(REPLY_TIMEOUT, worker.replies.next_line()).await;
            let line = line.unwrap_or_else(|_| panic!("a worker did not answer {:?}", command(0)));
            replies.push(serde_json::from_str(&line.unwrap().expect("the worker runs")).unwrap());
        }
        replies
    }
}

impl Worker {
    fn start(logins: &Path, skip: usize) -> Self {
        let from = Ipv4Addr::from_bits(0x7f01_0001 + ADDRESSES.fetch_add(1, Ordering::Relaxed));
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg("fanout-worker").arg(logins).args([skip.to_string(), from.to_string()]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let (commands, replies) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { child, commands, replies: BufReader::new(replies).lines() }
    }
}

impl Totals {
    fn add(&mut self, report: &Report) {
        assert_eq!(report.violations, 0, "clients received boards that were not newer");
        self.deliveries += report.deliveries;
        self.refused += report.refused;
        report.times.iter().for_each(|(value, count)| self.times.record_n(*value, *count).unwrap());
    }
}
