//! A program under callgrind, which counts the instructions that it executes. The count does not depend on the load of the machine. The
//! kernel's work for the program is not counted.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The table omits functions with a smaller share.
const MIN_SHARE: f64 = 0.001;
/// Longer names are cut: with all type parameters they may take pages.
const MAX_NAME: usize = 160;

/// A process under callgrind.
pub struct Callgrind {
    process: Child,
    profile: PathBuf,
    dumps: usize,
}

impl Callgrind {
    /// Starts a program. Its n-th dump of counts by function goes to the file `profile` with the ending n.
    pub fn start(program: &Path, profile: PathBuf, configure: impl FnOnce(&mut Command)) -> Self {
        let mut command = Command::new("valgrind");
        command
            .args(["--tool=callgrind", "--quiet"])
            .arg(format!("--callgrind-out-file={}", profile.display()))
            .arg(program)
            .stdin(Stdio::null());
        configure(&mut command);
        // SAFETY: between fork and exec only prctl is called. The process ends with the thread that starts it, the main one.
        unsafe {
            command.pre_exec(|| {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                Ok(())
            });
        }
        let process = command.spawn().expect("valgrind is in Debian's package of that name");
        Self { process, profile, dumps: 0 }
    }

    /// Instructions since the last call. Writes a dump and resets the counters.
    pub fn instructions(&mut self) -> u64 {
        let pid = format!("--pid={}", self.process.id());
        let output = Command::new("vgdb").args([&pid, "dump"]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        self.dumps += 1;
        let text = std::fs::read_to_string(self.last_dump()).unwrap();
        let total = text.lines().rev().find_map(|line| line.strip_prefix("totals: ")).unwrap();
        total.trim().parse().unwrap()
    }

    /// Names the last dump, and writes its table of functions to a file beside it.
    pub fn name_dump(&self, name: &str, requests: usize) {
        let named = self.profile.with_extension(name);
        std::fs::rename(self.last_dump(), &named).unwrap();
        let table = function_table(&std::fs::read_to_string(&named).unwrap(), requests);
        std::fs::write(self.profile.with_extension(format!("{name}.txt")), table).unwrap();
    }

    fn last_dump(&self) -> String {
        format!("{}.{}", self.profile.display(), self.dumps)
    }

    pub fn process(&mut self) -> &mut Child {
        &mut self.process
    }
}

impl Drop for Callgrind {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The instructions of each function, without the functions it calls. In callgrind's format a name is spelled out where it comes
/// first, and the line after `calls=` belongs to the called function.
fn function_table(profile: &str, requests: usize) -> String {
    let mut names: HashMap<&str, &str> = HashMap::new();
    let mut counts: HashMap<&str, u64> = HashMap::new();
    let (mut function, mut is_call) = ("", false);
    for line in profile.lines() {
        if let Some(named) = line.strip_prefix("fn=").or_else(|| line.strip_prefix("cfn=")) {
            let (number, name) = named.split_once(' ').unwrap_or((named, ""));
            if !name.is_empty() {
                names.insert(number, name);
            }
            if line.starts_with("fn=") {
                function = number;
            }
        } else if line.starts_with("calls=") {
            is_call = true;
        } else if line.starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first)) {
            let count =
                line.split(' ').nth(1).and_then(|count| count.parse::<u64>().ok()).unwrap_or_default();
            if !std::mem::take(&mut is_call) {
                *counts.entry(function).or_default() += count;
            }
        }
    }
    let total: u64 = counts.values().sum();
    let mut functions: Vec<(&str, u64)> = counts.into_iter().collect();
    functions.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let mut table = format!("{} instructions per request, idle work included\n", total / requests as u64);
    for (number, count) in functions {
        let share = count as f64 / total as f64;
        if share < MIN_SHARE {
            break;
        }
        let name: String = names.get(number).unwrap_or(&"?").chars().take(MAX_NAME).collect();
        let _ = writeln!(table, "{:>9} {:>5.1} %  {name}", count / requests as u64, 100.0 * share);
    }
    table
}
