//! The ledger's part of an award. It runs inside the node, so its CPU cannot be read off: another connection holds the ledger's
//! lead while awards are made, so that the node does nothing else; then the lead is free, no award is made, and what
//! piled up is written.

use std::sync::mpsc;
use std::thread::JoinHandle;

use serde::Serialize;
use sqlx::{Connection, PgConnection};
use tokio::sync::oneshot;

use super::Stage;
use crate::drive::command::Job;
use crate::drive::hoard::Hoard;
use crate::drive::record::Record;
use crate::drive::spent::{Meter, Spent};
use crate::drive::step::Step;
use crate::lead::Holding;

const SECONDS: f64 = 6.0;

#[derive(Serialize)]
pub struct Held {
    /// Awards, while nobody wrote them to the ledger.
    pub awards: Record,
    /// Then the ledger alone, for as many entries.
    pub ledger: Spent,
}

pub async fn measure(stage: &Stage<'_>) -> Held {
    let data = stage.server.folder().join("data/postgres");
    let (release, held) = hold(format!("postgres:///laurel?host={}&user=laurel", data.display()));
    let job = Job { drains: false, ..stage.closed("game update, ledger held", &[Step::Update], SECONDS) };
    let awards = job.measure(&mut Hoard::default()).await;
    let meter = Meter::begin(stage.server);
    drop(release);
    held.join().unwrap();
    stage.server.wait_until_written().await;
    Held { awards, ledger: meter.end(0.0) }
}

/// Takes the ledger's lead, until what is returned is dropped. A lead has to give signs of life, so it is held on a thread of its
/// own: this one is the generator's.
fn hold(url: String) -> (oneshot::Sender<()>, JoinHandle<()>) {
    let (has, taken) = mpsc::channel();
    let (release, released) = oneshot::channel();
    let held = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut database = PgConnection::connect(&url).await.unwrap();
            let holding = Holding::take_over(&url, &mut database).await;
            has.send(()).unwrap();
            let _ = released.await;
            holding.end().await;
        });
    });
    taken.recv().expect("the lead is free for whoever waits first");
    (release, held)
}

impl Held {
    fn each(&self, seconds: f64) -> f64 {
        seconds / self.awards.of(Step::Update).count as f64 * 1e6
    }

    /// CPU microseconds of the node for an award without the ledger's work.
    pub fn node_us(&self) -> f64 {
        self.awards.cpu_us(|it| it.node.cpu_seconds, self.awards.of(Step::Update).count)
    }

    /// Of the ledger's work on it, in the node and in Postgres.
    pub fn ledger_us(&self) -> (f64, f64) {
        (self.each(self.ledger.node.cpu_seconds), self.each(self.ledger.postgres.cpu_seconds))
    }
}
