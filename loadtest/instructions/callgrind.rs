//! A program under callgrind, which counts the instructions that it executes: not how long they take, so who else uses the
//! machine does not matter. What the kernel does for it is not counted.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::functions;

/// A process whose instructions are counted.
pub struct Counted {
    process: Child,
    profile: PathBuf,
    dumps: usize,
}

impl Counted {
    /// Starts a program; `profile` is where its counts by function go, each dump under the next number.
    pub fn start(program: &Path, profile: PathBuf, set_up: impl FnOnce(&mut Command)) -> Self {
        let mut command = Command::new("valgrind");
        command
            .args(["--tool=callgrind", "--quiet"])
            .arg(format!("--callgrind-out-file={}", profile.display()))
            .arg(program)
            .stdin(Stdio::null());
        set_up(&mut command);
        // SAFETY: between fork and exec only prctl is called. It ends with the thread that starts it, the main one.
        unsafe {
            command.pre_exec(|| {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                Ok(())
            });
        }
        let process = command.spawn().expect("valgrind is in Debian's package of that name");
        Self { process, profile, dumps: 0 }
    }

    /// What it executed since the last time. Its counters begin anew.
    pub fn instructions(&mut self) -> u64 {
        let pid = format!("--pid={}", self.process.id());
        let asked = Command::new("vgdb").args([&pid, "dump"]).output().unwrap();
        assert!(asked.status.success(), "{}", String::from_utf8_lossy(&asked.stderr));
        self.dumps += 1;
        let text = std::fs::read_to_string(format!("{}.{}", self.profile.display(), self.dumps)).unwrap();
        let total = text.lines().rev().find_map(|it| it.strip_prefix("totals: ")).unwrap();
        total.trim().parse().unwrap()
    }

    /// Names the last dump's profile, and writes its table of functions beside it.
    pub fn name(&self, name: &str, requests: usize) {
        let named = self.profile.with_extension(name);
        std::fs::rename(format!("{}.{}", self.profile.display(), self.dumps), &named).unwrap();
        let text = std::fs::read_to_string(&named).unwrap();
        std::fs::write(self.profile.with_extension(format!("{name}.txt")), functions::table(&text, requests))
            .unwrap();
    }

    pub fn process(&mut self) -> &mut Child {
        &mut self.process
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
