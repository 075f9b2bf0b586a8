//! One store process: it runs in a process group of its own, so that Ctrl-C reaches Laurel alone, and the kernel ends it
//! when the thread that started it ends.

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

/// The account a store runs as; Postgres refuses to run as root.
#[derive(Clone, Copy, Debug)]
pub struct Account {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

/// How to start a store, kept for starting it again.
#[derive(Debug)]
pub struct Recipe {
    /// What to call it in messages.
    pub name: &'static str,
    /// The binary.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Where its output goes.
    pub log: PathBuf,
    /// Another account than ours.
    pub account: Option<Account>,
    /// Open files that the process inherits under the same descriptors, and nothing else: the folder's lock, so that it is
    /// held as long as anything uses the data. The recipe owns them: a bare number would name another file by the time the
    /// store is started again.
    pub inherit: Vec<Arc<File>>,
    /// How to ask it to stop; the kernel sends the same when Laurel dies.
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

    /// Waits for the process to end by itself, and starts it again.
    pub async fn revive(&mut self) -> Result<(), StartError> {
        let status = self.process.wait().await.ok().map(|it| it.to_string());
        let name = self.recipe.name;
        tracing::error!(store = name, status, "private store ended, starting it again");
        tokio::time::sleep(Duration::from_millis(200)).await;
        self.process = command(&self.recipe)?
            .spawn()
            .map_err(|error| StartError(format!("cannot start {name} again: {error}")))?;
        Ok(())
    }

    /// Asks it to stop and waits until it has.
    pub async fn stop(mut self) {
        if let Some(pid) = self.process.id() {
            // SAFETY: a signal to a child of ours that was not reaped yet, so the pid is still its own.
            unsafe { libc::kill(pid as libc::pid_t, self.recipe.stop_signal) };
        }
        let _ = self.process.wait().await;
    }

    /// Why it did not start: the last line of its log that says so.
    pub fn complaint(&self) -> StartError {
        let log = std::fs::read_to_string(&self.recipe.log).unwrap_or_default();
        let telling =
            |line: &&str| ["FATAL", "PANIC", "rror", "Bad file", "annot"].iter().any(|it| line.contains(it));
        let line =
            log.lines().rev().find(telling).or_else(|| log.lines().last()).unwrap_or("it said nothing");
        StartError(format!(
            "{} did not start: {} (log: {})",
            self.recipe.name,
            line.trim(),
            self.recipe.log.display()
        ))
    }
}

/// A command set up as the recipe says, without being started.
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
    // What the shell says of other servers, as PGPORT does, is not meant for this one.
    for (name, _) in env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"PG")) {
        command.env_remove(name);
    }
    if let Some(account) = recipe.account {
        command.uid(account.uid).gid(account.gid);
    }
    let (inherit, stop_signal, parent) = (recipe.inherit.clone(), recipe.stop_signal, std::process::id());
    // SAFETY: between fork and exec only system calls are made, and no memory is allocated. It runs after the change of
    // account, which would clear the parent-death signal.
    unsafe {
        command.pre_exec(move || {
            libc::prctl(libc::PR_SET_PDEATHSIG, stop_signal);
            // A Laurel that died before the line above is not noticed by it.
            if libc::getppid() as u32 != parent {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            // Rust opens every file close-on-exec, but a library, or whatever started Laurel, may not have. Kernels before
            // 5.11 refuse this, and go on without it.
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
