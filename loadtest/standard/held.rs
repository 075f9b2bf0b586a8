//! The ledger's part of an award. It runs inside the node, so its CPU cannot be read off: another connection holds the ledger's
//! lead while awards are made, so that the node does nothing else; then the lead is free, no award is made, and what
//! piled up is written.

use serde::Serialize;
use sqlx::{Connection, PgConnection};

use super::Stage;
use crate::drive::command::Job;
use crate::drive::hoard::Hoard;
use crate::drive::record::Record;
use crate::drive::spent::{Meter, Spent};
use crate::drive::step::Step;
use crate::ledger::Holding;

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
    let url = format!("postgres:///laurel?host={}&user=laurel", data.display());
    let mut database = PgConnection::connect(&url).await.unwrap();
    let holding = Holding::begin(&url, &mut database).await;
    let job = Job { drains: false, ..stage.closed("game update, ledger held", &[Step::Update], SECONDS) };
    let awards = job.measure(&mut Hoard::default()).await;
    let meter = Meter::begin(stage.server);
    holding.end().await;
    stage.server.wait_until_written().await;
    Held { awards, ledger: meter.end() }
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
