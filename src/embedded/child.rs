//! The process of a store. It has its own process group, so that Ctrl-C reaches Laurel only. The kernel ends it when the thread that
//! started it ends.

use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::process::Command;

use super::StartError;

/// The account of a store process.
#[derive(Clone, Copy, Debug)]
pub struct Account {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

/// How to start a store. Needed again for a restart.
#[derive(Debug)]
pub struct Recipe {
    /// The name in messages.
    pub name: &'static str,
    /// The binary.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// The file for its output.
    pub log: PathBuf,
    /// The account, if not ours.
    pub account: Option<Account>,
    /// The only open files that the process inherits, with the same descriptors: among them the folder's lock, which is held as long as
    /// any process uses the data. The recipe owns them, so that their numbers are valid at a restart.
    pub inherit: Vec<Arc<File>>,
    /// The signal that stops the store. The kernel sends it when Laurel dies.
    pub stop_signal: libc::c_int,
}

/// A running store.
#[derive(Debug)]
pub struct Child {
    process: tokio::process::Child,
    recipe: Recipe,
}

impl Child {
    /// Starts the process.
    pub fn spawn(recipe: Recipe) -> Result<Self, StartError> {
        let process = command(&recipe)?.spawn().map_err(|error| {
            StartError(format!("cannot start {} ({}): {error}", recipe.name, recipe.program.display()))
        })?;
        Ok(Self { process, recipe })
    }

    /// Whether it has ended already.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.process.try_wait(), Ok(None))
    }

    /// The process id while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.id()
    }

    /// Waits for the process to end, and restarts it.
    pub async fn restart_after_exit(&mut self) -> Result<(), StartError> {
        let status = self.process.wait().await.ok().map(|it| it.to_string());
        let name = self.recipe.name;
        tracing::error!(store = name, status, "embedded store ended, restarting");
        tokio::time::sleep(Duration::from_millis(200)).await;
        self.process = command(&self.recipe)?
            .spawn()
            .map_err(|error| StartError(format!("cannot restart {name}: {error}")))?;
        Ok(())
    }

    /// Stops the process and waits for its end.
    pub async fn stop(mut self) {
        if let Some(pid) = self.process.id() {
            // SAFETY: the child is not reaped yet, so the pid is its own.
            unsafe { libc::kill(pid as libc::pid_t, self.recipe.stop_signal) };
        }
        let _ = self.process.wait().await;
    }

    /// Why the process did not start: the last line of its log with an error.
    pub fn start_error(&self) -> StartError {
        let log = std::fs::read_to_string(&self.recipe.log).unwrap_or_default();
        let is_error =
            |line: &&str| ["FATAL", "PANIC", "rror", "Bad file", "annot"].iter().any(|it| line.contains(it));
        let line =
            log.lines().rev().find(is_error).or_else(|| log.lines().last()).unwrap_or("its log is empty");
        StartError(format!(
            "{} did not start: {} (log: {})",
            self.recipe.name,
            line.trim(),
            self.recipe.log.display()
        ))
    }
}

/// Builds the command of a recipe.
pub fn command(recipe: &Recipe) -> Result<Command, StartError> {
    let log = |path: &Path| {
        File::options()
            .create(true)
            .append(true)
            .open(path)
            .map_err(|error| StartError(format!("cannot write {}: {error}", path.display())))
    };
    let mut command = Command::new(&recipe.program);
    command
        .args(&recipe.arguments)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(log(&recipe.log)?)
        .stderr(log(&recipe.log)?)
        .process_group(0)
        .kill_on_drop(true);
    // Variables such as PGPORT are meant for other servers.
    for (name, _) in env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"PG")) {
        command.env_remove(name);
    }
    if let Some(account) = recipe.account {
        command.uid(account.uid).gid(account.gid);
    }
    let (inherit, stop_signal, parent) = (recipe.inherit.clone(), recipe.stop_signal, std::process::id());
    // SAFETY: between fork and exec there are only system calls, and no allocations. The hook runs after the change of account, which
    // would clear the parent-death signal.
    unsafe {
        command.pre_exec(move || {
            libc::prctl(libc::PR_SET_PDEATHSIG, stop_signal);
            // Laurel may have died before prctl.
            if libc::getppid() as u32 != parent {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            // Rust opens every file close-on-exec, but a library or the parent of Laurel may not have. Kernels before 5.11 lack this
            // call; then such files stay open.
            libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, libc::CLOSE_RANGE_CLOEXEC);
            for file in &inherit {
                if libc::fcntl(file.as_raw_fd(), libc::F_SETFD, 0) == -1 {
                    return Err(io::Error::last_os_error());
                }
            }
            Ok(())
        });
    }
    Ok(command)
}
