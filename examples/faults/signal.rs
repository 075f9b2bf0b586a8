//! Signals to the processes that the suite started, and to their children.

/// Processes that stand still as long as this is there.
pub struct Paused(Vec<u32>);

impl Paused {
    pub fn new(pids: &[u32]) -> Self {
        pids.iter().for_each(|it| send(*it, libc::SIGSTOP));
        Self(pids.to_vec())
    }

    /// A process and its children, the process first, so that it makes no more of them.
    pub fn family(pid: u32) -> Self {
        send(pid, libc::SIGSTOP);
        let mut family = children(pid);
        family.insert(0, pid);
        Self::new(&family)
    }
}

impl Drop for Paused {
    fn drop(&mut self) {
        self.0.iter().for_each(|it| send(*it, libc::SIGCONT));
    }
}

/// A process's children, as `/proc` has them.
pub fn children(pid: u32) -> Vec<u32> {
    let running = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = running.filter_map(|it| it.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|it| parent(*it) == Some(pid)).collect()
}

/// The fields after the name, which may have blanks and brackets in it: state, parent.
fn parent(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// Sends a signal to a process of ours, or to a child of one.
pub fn send(pid: u32, signal: libc::c_int) {
    // SAFETY: a process that this suite started and did not reap yet, or a child that such a process has just now.
    unsafe { libc::kill(pid as libc::pid_t, signal) };
}

/// SIGKILL to a process and its children.
pub fn kill_family(pid: u32) {
    let paused = Paused::family(pid);
    paused.0.iter().for_each(|it| send(*it, libc::SIGKILL));
}

/// Whether a process of ours is a zombie or gone.
pub fn has_ended(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with(['Z', 'X']))
}
