//! The data folder, and the lock that keeps a second Laurel, or what a killed one left running, from using it too.

use std::fs::{self, File, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::StartError;
use super::child::Account;

/// Unix sockets have paths of at most 107 bytes (`sun_path` in unix(7)).
const MAX_SOCKET_PATH: usize = 107;

/// How long the stores of a killed Laurel may take to end.
const LEFTOVERS_MS: u64 = 20_000;

/// The folder, held by this process and by the stores that it starts.
#[derive(Debug)]
pub struct DataFolder {
    root: PathBuf,
    lock: File,
}

/// Who holds a data folder.
#[derive(Debug)]
pub enum Holder {
    /// This process, from now on.
    Us(DataFolder),
    /// A Laurel that runs.
    Other {
        /// Its process id.
        pid: i32,
        /// The folder's absolute path.
        root: PathBuf,
    },
}

impl DataFolder {
    /// Makes the folder if it is missing and takes its lock.
    ///
    /// # Errors
    /// The folder cannot be made, its path is too long for a socket, or stores that a killed Laurel left do not end.
    pub async fn open(path: &Path) -> Result<Holder, StartError> {
        make_private(path)?;
        let cannot = |error| StartError(format!("cannot use the data folder {}: {error}", path.display()));
        let root = fs::canonicalize(path).map_err(cannot)?;
        let longest = root.join("postgres/.s.PGSQL.5432").as_os_str().len();
        if longest > MAX_SOCKET_PATH {
            return Err(StartError(format!(
                "the data folder's path is too long for Unix sockets ({longest} of {MAX_SOCKET_PATH} bytes): {}; set \
                 LAUREL_EMBEDDED__DATA_DIR to a shorter one",
                root.display()
            )));
        }
        let lock_path = root.join("laurel.lock");
        let mut lock = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&lock_path)
            .map_err(cannot)?;
        for _ in 0..LEFTOVERS_MS / 50 {
            match lock.try_lock() {
                Ok(()) => {
                    sign(&mut lock).map_err(cannot)?;
                    return Ok(Holder::Us(Self { root, lock }));
                }
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(cannot(error)),
            }
            if let Some(pid) = living_holder(&mut lock) {
                return Ok(Holder::Other { pid, root });
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Err(StartError(format!(
            "stores of an earlier Laurel still run on {} and do not end; look for them with: fuser {}",
            root.display(),
            lock_path.display()
        )))
    }

    /// The folder's absolute path.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The open lock, for the stores to inherit.
    pub fn lock(&self) -> &File {
        &self.lock
    }

    /// A folder inside, private to `account` or to us.
    pub fn subfolder(&self, name: &str, account: Option<Account>) -> Result<PathBuf, StartError> {
        let path = self.root.join(name);
        make_private(&path)?;
        if let Some(Account { uid, gid }) = account {
            std::os::unix::fs::chown(&path, Some(uid), Some(gid)).map_err(|error| {
                StartError(format!("cannot give {} to postgres: {error}", path.display()))
            })?;
        }
        Ok(path)
    }
}

/// Makes a folder that only its owner can enter; an existing one keeps its permissions.
fn make_private(path: &Path) -> Result<(), StartError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| StartError(format!("cannot make the folder {}: {error}", path.display())))
}

fn sign(lock: &mut File) -> std::io::Result<()> {
    lock.set_permissions(fs::Permissions::from_mode(0o600))?;
    lock.set_len(0)?;
    lock.rewind()?;
    writeln!(lock, "{}", std::process::id())
}

/// The Laurel that signed the lock, if it lives. Its stores may hold the lock a moment longer than it does.
fn living_holder(lock: &mut File) -> Option<i32> {
    let mut text = String::new();
    lock.rewind().ok()?;
    lock.read_to_string(&mut text).ok()?;
    let pid = text.trim().parse().ok()?;
    // SAFETY: signal 0 only asks whether the process exists.
    (unsafe { libc::kill(pid, 0) } == 0).then_some(pid)
}
