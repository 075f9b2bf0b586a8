//! CPU time and memory of processes, from `/proc`.

use std::fs;
use std::path::Path;
use std::time::Instant;

use serde::Serialize;

use crate::server::Server;

const MIB: f64 = 1024.0 * 1024.0;

/// CPU seconds of each part since its start, or over a phase.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cpu {
    pub node: f64,
    pub redis: f64,
    pub postgres: f64,
    /// This process: the load generator.
    pub load: f64,
    /// All processes of the machine.
    pub machine: f64,
}

impl Cpu {
    pub fn of(server: &Server) -> Self {
        let all = processes();
        let pids = Pids::among(&all, server);
        let seconds =
            |pid| all.iter().find(|process| process.pid == pid).map_or(0.0, |process| process.seconds);
        Self {
            node: seconds(pids.node),
            redis: seconds(pids.redis),
            postgres: pids.postgres.iter().map(|pid| seconds(*pid)).sum(),
            load: seconds(std::process::id()),
            machine: all.iter().map(|process| process.seconds).sum(),
        }
    }

    pub fn since(&self, before: &Self) -> Self {
        Self {
            node: self.node - before.node,
            redis: self.redis - before.redis,
            postgres: self.postgres - before.postgres,
            load: self.load - before.load,
            machine: self.machine - before.machine,
        }
    }

    /// CPU seconds of all other programs.
    pub fn others(&self) -> f64 {
        self.machine - self.node - self.redis - self.postgres - self.load
    }
}

/// Share of the machine's cores, 0 to 1, that this many CPU seconds are of this many seconds.
pub fn share_of_machine(cpu_seconds: f64, seconds: f64) -> f64 {
    cpu_seconds / std::thread::available_parallelism().unwrap().get() as f64 / seconds
}

/// The processes of a server: the node, its Redis, its Postgres with all backends.
struct Pids {
    node: u32,
    redis: u32,
    postgres: Vec<u32>,
}

impl Pids {
    fn among(all: &[Process], server: &Server) -> Self {
        let node = server.node.id();
        let child = |name: &str| {
            let found = all.iter().find(|process| process.parent == node && process.name == name);
            found.map_or(0, |process| process.pid)
        };
        let postmaster = child("postgres");
        let postgres = all.iter().filter(|process| process.pid == postmaster || process.parent == postmaster);
        Self { node, redis: child("redis-server"), postgres: postgres.map(|process| process.pid).collect() }
    }

    /// Resident MiB of node, Redis, Postgres and this process. Postgres' backends share most of their memory, so each counts with its
    /// share of it.
    fn mib(&self) -> [f64; 4] {
        let resident = |pid| memory_bytes(pid, "status", "VmRSS:").unwrap_or_default() / MIB;
        let shares = self.postgres.iter().filter_map(|pid| memory_bytes(*pid, "smaps_rollup", "Pss:"));
        [resident(self.node), resident(self.redis), shares.sum::<f64>() / MIB, resident(std::process::id())]
    }
}

/// What one part used during a run.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct PartUsage {
    pub cpu_seconds: f64,
    /// Resident memory before and after.
    pub first_mib: f64,
    pub last_mib: f64,
}

/// What all parts used during a run.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Usage {
    pub node: PartUsage,
    pub redis: PartUsage,
    pub postgres: PartUsage,
    pub generator: PartUsage,
    /// Share of the machine that other programs took.
    pub others_percent: f64,
}

impl Usage {
    /// CPU seconds of the node and its stores.
    pub fn server_seconds(&self) -> f64 {
        self.node.cpu_seconds + self.redis.cpu_seconds + self.postgres.cpu_seconds
    }

    pub fn parts(&self) -> [(&'static str, PartUsage); 4] {
        [
            ("node", self.node),
            ("Redis", self.redis),
            ("Postgres", self.postgres),
            ("generator", self.generator),
        ]
    }
}

/// Measures the usage from its start to its end.
pub struct Meter<'a> {
    server: &'a Server,
    cpu: Cpu,
    mib: [f64; 4],
    started: Instant,
}

impl<'a> Meter<'a> {
    pub fn start(server: &'a Server) -> Self {
        let mib = Pids::among(&processes(), server).mib();
        Self { server, cpu: Cpu::of(server), mib, started: Instant::now() }
    }

    /// The caller passes the generator's own CPU seconds, so that waiting for the ledger is not counted.
    pub fn end(self, generator_seconds: f64) -> Usage {
        let cpu = Cpu::of(self.server).since(&self.cpu);
        let last = Pids::among(&processes(), self.server).mib();
        let part = |place: usize, cpu_seconds| PartUsage {
            cpu_seconds,
            first_mib: self.mib[place],
            last_mib: last[place],
        };
        let others = share_of_machine(cpu.others(), self.started.elapsed().as_secs_f64());
        Usage {
            node: part(0, cpu.node),
            redis: part(1, cpu.redis),
            postgres: part(2, cpu.postgres),
            generator: part(3, generator_seconds),
            others_percent: (others * 100.0).max(0.0),
        }
    }
}

/// Resident memory of a process.
pub fn resident_bytes(pid: u32) -> f64 {
    memory_bytes(pid, "status", "VmRSS:").unwrap()
}

/// A line in kB of a file in `/proc/<pid>`. None: the process has ended.
fn memory_bytes(pid: u32, file: &str, name: &str) -> Option<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/{file}")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.trim().trim_end_matches(" kB").parse::<f64>().ok()? * 1024.0)
}

/// CPU seconds of a process and of its ended children, in steps of 10 ms.
pub fn process_seconds(pid: u32) -> f64 {
    read_process(format!("/proc/{pid}").as_ref()).map_or(0.0, |process| process.seconds)
}

/// CPU seconds of a process, by its own clock, which is finer than the ticks in `/proc`.
pub fn precise_process_seconds(pid: u32) -> f64 {
    let mut clock = 0;
    // SAFETY: the clock's id lives over the call.
    assert_eq!(unsafe { libc::clock_getcpuclockid(pid as i32, &mut clock) }, 0, "process {pid} runs");
    clock_seconds(clock)
}

/// CPU seconds of the calling thread.
pub fn thread_seconds() -> f64 {
    clock_seconds(libc::CLOCK_THREAD_CPUTIME_ID)
}

fn clock_seconds(clock: libc::clockid_t) -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the time lives over the call.
    assert_eq!(unsafe { libc::clock_gettime(clock, &mut time) }, 0);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

struct Process {
    pid: u32,
    parent: u32,
    name: String,
    seconds: f64,
}

fn processes() -> Vec<Process> {
    fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| read_process(&entry.path())).collect()
}

/// Reads `/proc/<pid>/stat`: pid (name) state ppid … utime stime cutime cstime, in ticks of 10 ms.
fn read_process(folder: &Path) -> Option<Process> {
    let text = fs::read_to_string(folder.join("stat")).ok()?;
    let (head, rest) = text.rsplit_once(") ")?;
    let (pid, name) = head.split_once(" (")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    let ticks: u64 = fields.get(11..15)?.iter().filter_map(|field| field.parse::<u64>().ok()).sum();
    Some(Process {
        pid: pid.parse().ok()?,
        parent: fields.get(1)?.parse().ok()?,
        name: name.to_owned(),
        seconds: ticks as f64 / 100.0,
    })
}
