//! Signals to the processes that the suite started, and to their children.

/// Paused processes. They continue when this is dropped.
pub struct Paused(Vec<u32>);

impl Paused {
    pub fn new(pids: &[u32]) -> Self {
        pids.iter().for_each(|pid| send(*pid, libc::SIGSTOP));
        Self(pids.to_vec())
    }

    /// Pauses a process and then its children, so that it starts no more of them.
    pub fn family(pid: u32) -> Self {
        send(pid, libc::SIGSTOP);
        let mut family = children(pid);
        family.insert(0, pid);
        Self::new(&family)
    }
}

impl Drop for Paused {
    fn drop(&mut self) {
        self.0.iter().for_each(|pid| send(*pid, libc::SIGCONT));
    }
}

/// A process's children, from `/proc`.
pub fn children(pid: u32) -> Vec<u32> {
    let running = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = running.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|child| parent(*child) == Some(pid)).collect()
}

/// The field after the state. The name before it may contain spaces and parentheses.
fn parent(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// Sends a signal to a process of the suite, or to a child of one.
pub fn send(pid: u32, signal: libc::c_int) {
    // SAFETY: the suite started the process and has not reaped it, or it is a current child of such a process.
    unsafe { libc::kill(pid as libc::pid_t, signal) };
}

/// SIGKILL to a process and its children.
pub fn kill_family(pid: u32) {
    let paused = Paused::family(pid);
    paused.0.iter().for_each(|pid| send(*pid, libc::SIGKILL));
}

/// Whether a process is a zombie or gone.
pub fn has_ended(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with(['Z', 'X']))
}
