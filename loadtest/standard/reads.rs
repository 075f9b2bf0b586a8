//! The board, beside a bare handler that returns the same bytes: each in turn, since the machine is not the same for long.

use serde::Serialize;

use super::Stage;
use crate::cpu::{self, Cpu};
use crate::drive::bare::Bare;
use crate::drive::command::Job;
use crate::drive::hoard::Hoard;
use crate::drive::program::Flow;
use crate::drive::record::Record;
use crate::drive::step::Step;

const ROUNDS: usize = 6;
const SECONDS: f64 = 2.0;
const PACED_SECONDS: f64 = 8.0;

#[derive(Serialize)]
pub struct Reads {
    pub rounds: Vec<Round>,
    /// The bare handler at the pace of the awards: what the machine and the generator alone make of it.
    pub paced: Read,
}

/// The one, then the other.
#[derive(Serialize)]
pub struct Round {
    pub bare: Read,
    pub ours: Read,
}

#[derive(Serialize)]
pub struct Read {
    pub record: Record,
    /// CPU microseconds of the server and of the generator for each.
    pub server_us: f64,
    pub generator_us: f64,
}

pub async fn measure(stage: &Stage<'_>) -> Reads {
    let bare = Bare::like(stage.server.socket_address());
    let mut rounds = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let job = || Job { server: None, ..stage.closed("board", &[Step::Board], SECONDS) };
        let pid = bare.process.id();
        let bare = read(Job { address: bare.address, ..job() }, || cpu::exactly(pid)).await;
        let none = Cpu::default();
        let ours = read(job(), || super::node_seconds(stage.server, &none)).await;
        rounds.push(Round { bare, ours });
    }
    let pace = stage.open("a bare handler", Flow::Reads, 2.0 * super::PER_SECOND, PACED_SECONDS);
    let pid = bare.process.id();
    let paced = Job { server: None, address: bare.address, ..pace };
    Reads { rounds, paced: read(paced, || cpu::exactly(pid)).await }
}

async fn read(job: Job<'_>, server: impl Fn() -> f64) -> Read {
    let (served, own) = (server(), cpu::of_this_thread());
    let record = job.measure(&mut Hoard::default()).await;
    let (served, own) = (server() - served, cpu::of_this_thread() - own);
    let each = 1e6 / record.all.count as f64;
    Read { server_us: served * each, generator_us: own * each, record }
}

impl Reads {
    fn mean(&self, value: impl Fn(&Round) -> f64) -> f64 {
        self.rounds.iter().map(value).sum::<f64>() / self.rounds.len() as f64
    }

    /// Reads a second of each.
    pub fn per_second(&self) -> (f64, f64) {
        (self.mean(|it| it.bare.record.all.per_second), self.mean(|it| it.ours.record.all.per_second))
    }

    /// The servers' CPU microseconds for each.
    pub fn server_us(&self) -> (f64, f64) {
        (self.mean(|it| it.bare.server_us), self.mean(|it| it.ours.server_us))
    }

    /// What asking costs.
    pub fn generator_us(&self) -> f64 {
        self.mean(|it| it.bare.generator_us)
    }

    /// Ours by bare: the median of the rounds.
    pub fn ratio(&self) -> f64 {
        let ratio = |it: &Round| it.ours.record.all.per_second / it.bare.record.all.per_second;
        let mut ratios: Vec<f64> = self.rounds.iter().map(ratio).collect();
        ratios.sort_by(f64::total_cmp);
        (ratios[(ratios.len() - 1) / 2] + ratios[ratios.len() / 2]) / 2.0
    }
}
