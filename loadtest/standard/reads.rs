//! Board reads, compared with a bare handler that returns the same bytes. Both are measured in turn, because the shared machine changes
//! from one second to the next.

use super::Stage;
use crate::drive::bare_handler::BareHandler;
use crate::drive::flow::{Flow, Step};
use crate::drive::job::Job;
use crate::drive::record::Record;
use crate::usage::{Cpu, precise_process_seconds, thread_seconds};

const ROUNDS: usize = 6;
const SECONDS: f64 = 2.0;
const PACED_SECONDS: f64 = 8.0;

pub struct Reads {
    rounds: Vec<Round>,
    /// The bare handler at the pace of the awards: what the machine and the generator alone need.
    pub paced: Read,
}

struct Round {
    bare: Read,
    laurel: Read,
}

pub struct Read {
    pub record: Record,
    /// CPU µs of the server and of the generator per read.
    pub server_us: f64,
    pub generator_us: f64,
}

pub async fn measure(stage: &Stage<'_>) -> Reads {
    let bare = BareHandler::start(stage.server.socket_address());
    let bare_seconds = || precise_process_seconds(bare.process.id());
    let mut rounds = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let job = || Job { server: None, ..stage.closed("board", &[Step::Board], SECONDS) };
        let on_bare = read(Job { address: bare.address, ..job() }, bare_seconds).await;
        let on_laurel = read(job(), || Cpu::of(stage.server).node).await;
        rounds.push(Round { bare: on_bare, laurel: on_laurel });
    }
    let paced = stage.open("bare handler", Flow::Reads, 2.0 * super::PER_SECOND, PACED_SECONDS);
    let paced = Job { server: None, address: bare.address, ..paced };
    Reads { rounds, paced: read(paced, bare_seconds).await }
}

async fn read(job: Job<'_>, server_seconds: impl Fn() -> f64) -> Read {
    let before = (server_seconds(), thread_seconds());
    let record = job.measure().await;
    let us = 1e6 / record.all.count as f64;
    let (server_us, generator_us) = ((server_seconds() - before.0) * us, (thread_seconds() - before.1) * us);
    Read { record, server_us, generator_us }
}

impl Reads {
    /// Means of the rounds, for the bare handler and for Laurel.
    pub fn means(&self, value: impl Fn(&Read) -> f64) -> (f64, f64) {
        let rounds = self.rounds.len() as f64;
        let mean = |read: fn(&Round) -> &Read| {
            self.rounds.iter().map(|round| value(read(round))).sum::<f64>() / rounds
        };
        (mean(|round| &round.bare), mean(|round| &round.laurel))
    }

    /// Laurel's reads a second as a multiple of the bare handler's: the median of the rounds.
    pub fn ratio(&self) -> f64 {
        let ratio = |round: &Round| round.laurel.record.all.per_second / round.bare.record.all.per_second;
        let mut ratios: Vec<f64> = self.rounds.iter().map(ratio).collect();
        ratios.sort_by(f64::total_cmp);
        (ratios[(ratios.len() - 1) / 2] + ratios[ratios.len() / 2]) / 2.0
    }
}
