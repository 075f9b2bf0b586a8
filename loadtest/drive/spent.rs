//! CPU and memory of each process over a run: the node, its Redis, its Postgres with all backends, and the generator itself.

use std::time::Instant;

use serde::Serialize;

use crate::cpu::{self, Cpu, Pids};
use crate::server::{self, Server};

const MIB: f64 = 1024.0 * 1024.0;

/// What one part used.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Part {
    pub cpu_seconds: f64,
    /// Resident memory before and after, in MiB.
    pub first_mib: f64,
    pub last_mib: f64,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub struct Spent {
    pub node: Part,
    pub redis: Part,
    pub postgres: Part,
    pub generator: Part,
    /// What other programs took of the machine meanwhile.
    pub others_percent: f64,
}

impl Spent {
    /// CPU seconds of the node and its stores.
    pub fn served(&self) -> f64 {
        self.node.cpu_seconds + self.redis.cpu_seconds + self.postgres.cpu_seconds
    }

    /// The parts with their names.
    pub fn parts(&self) -> [(&'static str, Part); 4] {
        [
            ("node", self.node),
            ("Redis", self.redis),
            ("Postgres", self.postgres),
            ("generator", self.generator),
        ]
    }
}

pub struct Meter<'a> {
    server: &'a Server,
    pids: Pids,
    cpu: Cpu,
    mib: [f64; 4],
    started: Instant,
}

impl<'a> Meter<'a> {
    pub fn begin(server: &'a Server) -> Self {
        let pids = Pids::of(server);
        let mib = mib(&pids);
        Self { server, pids, cpu: Cpu::of(server), mib, started: Instant::now() }
    }

    /// The generator's own CPU seconds are its thread's, without what waiting for the ledger takes.
    pub fn end(self, generator: f64) -> Spent {
        let cpu = Cpu::of(self.server).since(&self.cpu);
        let took = self.started.elapsed().as_secs_f64();
        let last = mib(&Pids { postgres: Pids::of(self.server).postgres, ..self.pids });
        let part = |place: usize, cpu_seconds| Part {
            cpu_seconds,
            first_mib: self.mib[place],
            last_mib: last[place],
        };
        let cores = std::thread::available_parallelism().unwrap().get() as f64;
        Spent {
            node: part(0, cpu.node),
            redis: part(1, cpu.redis),
            postgres: part(2, cpu.postgres),
            generator: part(3, generator),
            others_percent: (cpu.others() / cores / took * 100.0).max(0.0),
        }
    }
}

/// Postgres' backends share most of what they have: each is counted with its share of that.
fn mib(pids: &Pids) -> [f64; 4] {
    let resident = |pid| server::resident_bytes(pid) / MIB;
    let postgres: f64 = pids.postgres.iter().filter_map(|it| cpu::shared_bytes(*it)).sum();
    [resident(pids.node), resident(pids.redis), postgres / MIB, resident(std::process::id())]
}
