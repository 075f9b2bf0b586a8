//! CPU seconds by process, from /proc.

use std::fs;

use crate::server::Server;

/// CPU seconds that each part has used so far, or over a phase.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cpu {
    pub node: f64,
    pub redis: f64,
    pub postgres: f64,
    /// This process: what the measuring costs.
    pub load: f64,
    /// All processes of the machine together.
    pub machine: f64,
}

struct Process {
    pid: u32,
    parent: u32,
    name: String,
    seconds: f64,
}

impl Cpu {
    pub fn of(server: &Server) -> Self {
        let all: Vec<Process> =
            fs::read_dir("/proc").unwrap().flatten().filter_map(|it| read(&it.path())).collect();
        let node = server.node.id();
        let children: Vec<&Process> = all.iter().filter(|it| it.parent == node).collect();
        let own = || children.iter().find(|it| it.name == "postgres").map(|it| it.pid);
        let postmaster = server.postmaster.or_else(own).unwrap();
        let sum =
            |holds: &dyn Fn(&Process) -> bool| all.iter().filter(|it| holds(it)).map(|it| it.seconds).sum();
        Self {
            node: sum(&|it| it.pid == node),
            redis: sum(&|it| it.parent == node && it.name == "redis-server"),
            postgres: sum(&|it| it.pid == postmaster || it.parent == postmaster),
            load: sum(&|it| it.pid == std::process::id()),
            machine: sum(&|_| true),
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

    /// What neither the node nor the measuring used.
    pub fn others(&self) -> f64 {
        self.machine - self.node - self.redis - self.postgres - self.load
    }
}

/// The processes of a server.
pub struct Pids {
    pub node: u32,
    pub redis: u32,
    pub postgres: Vec<u32>,
}

impl Pids {
    pub fn of(server: &Server) -> Self {
        let all: Vec<Process> =
            fs::read_dir("/proc").unwrap().flatten().filter_map(|it| read(&it.path())).collect();
        let node = server.node.id();
        let child = |name: &str| all.iter().find(|it| it.parent == node && it.name == name).map(|it| it.pid);
        let postmaster = server.postmaster.or_else(|| child("postgres")).unwrap();
        let postgres = all.iter().filter(|it| it.pid == postmaster || it.parent == postmaster);
        Self { node, redis: child("redis-server").unwrap(), postgres: postgres.map(|it| it.pid).collect() }
    }
}

/// A process' resident memory, with its share alone of what others have too. None: it has ended.
pub fn shared_bytes(pid: u32) -> Option<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = text.lines().find_map(|it| it.strip_prefix("Pss:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<f64>().ok()? * 1024.0)
}

/// CPU seconds of one process, with its children that have ended.
pub fn of_process(pid: u32) -> f64 {
    read(format!("/proc/{pid}").as_ref()).map_or(0.0, |it| it.seconds)
}

/// CPU seconds of a Postgres with all its processes.
pub fn of_postgres(postmaster: u32) -> f64 {
    let all = fs::read_dir("/proc").unwrap().flatten().filter_map(|it| read(&it.path()));
    all.filter(|it| it.pid == postmaster || it.parent == postmaster).map(|it| it.seconds).sum()
}

/// CPU seconds of one process by its own clock, which is finer than the ticks in /proc.
pub fn exactly(pid: u32) -> f64 {
    let mut clock = 0;
    // SAFETY: the clock's id lives over the call.
    assert_eq!(unsafe { libc::clock_getcpuclockid(pid as i32, &mut clock) }, 0, "process {pid} runs");
    seconds(clock)
}

/// CPU seconds of the thread that asks.
pub fn of_this_thread() -> f64 {
    seconds(libc::CLOCK_THREAD_CPUTIME_ID)
}

fn seconds(clock: libc::clockid_t) -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the time lives over the call.
    assert_eq!(unsafe { libc::clock_gettime(clock, &mut time) }, 0);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// `/proc/<pid>/stat`: pid (name) state ppid … utime stime cutime cstime, in ticks of 10 ms.
fn read(folder: &std::path::Path) -> Option<Process> {
    let text = fs::read_to_string(folder.join("stat")).ok()?;
    let (head, rest) = text.rsplit_once(") ")?;
    let (pid, name) = head.split_once(" (")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    let ticks: u64 = fields.get(11..15)?.iter().filter_map(|it| it.parse::<u64>().ok()).sum();
    Some(Process {
        pid: pid.parse().ok()?,
        parent: fields.get(1)?.parse().ok()?,
        name: name.to_owned(),
        seconds: ticks as f64 / 100.0,
    })
}
