//! The workers, as the measuring process sees them.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use hdrhistogram::Histogram;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::orders::{Order, Protocol, Reply, Report};
use crate::cpu;

/// What takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(180);
/// Handshakes of one worker at once.
const AT_ONCE: usize = 256;

/// Workers are many, so that no process has more files than it may: each comes from an address of its own, since an
/// address has 28,000 ports, and those of closed connections rest for a minute.
static ADDRESSES: AtomicU32 = AtomicU32::new(0);

pub struct Crew {
    workers: Vec<Worker>,
}

struct Worker {
    child: Child,
    orders: ChildStdin,
    replies: Lines<BufReader<ChildStdout>>,
}

/// What all workers counted.
pub struct Counted {
    pub deliveries: u64,
    pub refused: u64,
    pub times: Histogram<u64>,
    pub away: Histogram<u64>,
    pub closed: Vec<u64>,
}

impl Crew {
    /// So many workers, each with so many logins of the file.
    pub fn start(workers: usize, logins: &Path, each: usize) -> Self {
        Self { workers: (0..workers).map(|it| Worker::start(logins, it * each)).collect() }
    }

    /// Lets so many clients of each worker connect to that worker's address, until all have a board.
    pub async fn connect(&mut self, protocol: Protocol, count: usize, addresses: &[SocketAddrV4]) {
        let order = |it: usize| Order::Connect { protocol, count, address: addresses[it], at_once: AT_ONCE };
        self.ask(order).await;
    }

    /// Waits until all clients have a version, and says how many microseconds after the change the last one had it.
    pub async fn has(&mut self, version: u64) -> u64 {
        let replies = self.ask(|_| Order::Await { version }).await;
        let times = replies.iter().map(|it| match it {
            Reply::Has { last_us } => *last_us,
            other => panic!("{other:?}"),
        });
        times.max().unwrap()
    }

    /// From now on whoever loses its connection comes back to one of these nodes.
    pub async fn flee(&mut self, to: &[SocketAddrV4], lost_from_us: u64) {
        self.ask(|_| Order::Flee { to: to.to_vec(), lost_from_us }).await;
    }

    /// Waits until all are back at these nodes, and says when the last one was.
    pub async fn settle(&mut self) -> u64 {
        let replies = self.ask(|_| Order::Settle).await;
        let hlcs_us = replies.iter().map(|it| match it {
            Reply::Settled { at_us } => *at_us,
            other => panic!("{other:?}"),
        });
        hlcs_us.max().unwrap()
    }

    /// What was counted since the last report. No client may have seen a version that was not newer.
    pub async fn counted(&mut self) -> Counted {
        let mut sum = Counted {
            deliveries: 0,
            refused: 0,
            times: Histogram::new(3).unwrap(),
            away: Histogram::new(3).unwrap(),
            closed: Vec::new(),
        };
        for reply in self.ask(|_| Order::Report).await {
            let Reply::Report(report) = reply else { panic!("{reply:?}") };
            sum.add(&report);
        }
        sum
    }

    /// CPU seconds of all workers.
    pub fn cpu(&self) -> f64 {
        self.workers.iter().map(|it| cpu::exactly(it.child.id().unwrap())).sum()
    }

    /// Gives each worker its order first, and then hears all.
    async fn ask(&mut self, order: impl Fn(usize) -> Order) -> Vec<Reply> {
        for (place, worker) in self.workers.iter_mut().enumerate() {
            let line = serde_json::to_string(&order(place)).unwrap() + "\n";
            worker.orders.write_all(line.as_bytes()).await.unwrap();
        }
        let mut replies = Vec::with_capacity(self.workers.len());
        for worker in &mut self.workers {
            let line = tokio::time::timeout(PATIENCE, worker.replies.next_line()).await;
            let line = line.unwrap_or_else(|_| panic!("a worker did not answer {:?}", order(0)));
            replies.push(serde_json::from_str(&line.unwrap().expect("the worker lives")).unwrap());
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
        let (orders, replies) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { child, orders, replies: BufReader::new(replies).lines() }
    }
}

impl Counted {
    fn add(&mut self, report: &Report) {
        assert_eq!(report.violations, 0, "clients were told boards that were not newer");
        self.deliveries += report.deliveries;
        self.refused += report.refused;
        report.times.iter().for_each(|(value, count)| self.times.record_n(*value, *count).unwrap());
        report.away.iter().for_each(|(value, count)| self.away.record_n(*value, *count).unwrap());
        self.closed.resize(self.closed.len().max(report.closed.len()), 0);
        self.closed.iter_mut().zip(&report.closed).for_each(|(sum, one)| *sum += one);
    }
}
