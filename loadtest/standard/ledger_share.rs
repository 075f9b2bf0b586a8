//! The ledger's share of an award. The ledger runs inside the node, so its CPU cannot be read separately. This holds the leader lock
//! while awards are made, so that the node does nothing else; then it releases the lock, and measures how the backlog is written.

use std::sync::mpsc;
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use super::Stage;
use crate::drive::flow::Step;
use crate::drive::job::Job;
use crate::drive::record::Record;
use crate::leader_lock::HeldLeaderLock;
use crate::usage::{Meter, Usage};

const SECONDS: f64 = 6.0;

pub struct LedgerShare {
    /// Awards while nobody wrote them to the ledger.
    awards: Record,
    /// Then the ledger alone, for as many entries.
    ledger: Usage,
}

pub async fn measure(stage: &Stage<'_>) -> LedgerShare {
    let (release, holder) = hold_leader_lock(stage.server.postgres_url());
    let job =
        Job { includes_ledger: false, ..stage.closed("game update, no ledger", &[Step::Update], SECONDS) };
    let awards = job.measure().await;
    let meter = Meter::start(stage.server);
    drop(release);
    holder.join().unwrap();
    stage.server.wait_until_written().await;
    LedgerShare { awards, ledger: meter.end(0.0) }
}

/// Holds the leader lock until the sender is dropped. It needs a thread of its own: the lock's connection must send keep-alives, and the
/// generator blocks this thread.
fn hold_leader_lock(url: String) -> (oneshot::Sender<()>, JoinHandle<()>) {
    let (report_taken, taken) = mpsc::channel();
    let (release, released) = oneshot::channel();
    let holder = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let lock = HeldLeaderLock::take_over(&url).await;
            report_taken.send(()).unwrap();
            let _ = released.await;
            lock.release().await;
        });
    });
    taken.recv().expect("the lock was taken over");
    (release, holder)
}

impl LedgerShare {
    /// CPU µs of the node for an award without the ledger's work.
    pub fn node_us(&self) -> f64 {
        self.awards.cpu_us(|usage| usage.node.cpu_seconds, self.count())
    }

    /// CPU µs of the ledger's work for an award, in the node and in Postgres.
    pub fn ledger_us(&self) -> (f64, f64) {
        let us = |cpu_seconds| cpu_seconds / self.count() as f64 * 1e6;
        (us(self.ledger.node.cpu_seconds), us(self.ledger.postgres.cpu_seconds))
    }

    fn count(&self) -> u64 {
        self.awards.of(Step::Update).count
    }
}
