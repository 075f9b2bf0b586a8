//! The data folder, and the locks that keep a second Laurel, or what a killed one left running, from using it too.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::child::Account;
use super::{StartError, postgres, redis};

/// Unix sockets have paths of at most 107 bytes (`sun_path` in unix(7)).
const MAX_SOCKET_PATH: usize = 107;

/// How long the stores of a killed Laurel may take to end.
const LEFTOVERS_MS: u64 = 20_000;
const POLL_MS: u64 = 50;

/// So often a lock that is free beside a store that listens, or beside a Laurel that lives, is tried again: a process that is
/// ending closes its files one by one, and another command tries the second lock for a moment.
const TRIES_BESIDE_A_STORE: u32 = 20;

/// Held while anything uses the data: the stores inherit it, also those that are started again.
const LOCK: &str = "laurel.lock";
/// Held while the Laurel that owns the folder lives, which wrote its pid there. No other process inherits it: so nobody has to
/// guess from a pid, which may be another process' by now, whether a Laurel runs.
const OWNER: &str = "laurel.pid";

/// The folder, held by this process and by the stores that it starts.
#[derive(Debug)]
pub struct DataFolder {
    root: PathBuf,
    lock: Arc<File>,
    _owner: File,
}

/// Who holds a data folder.
#[derive(Debug)]
pub enum Holder {
    /// This process, from now on.
    Us(DataFolder),
    /// Somebody else.
    Other {
        /// The process id of the Laurel that owns it; `None` if a store listens there that no Laurel owns.
        pid: Option<i32>,
        /// The folder's absolute path.
        root: PathBuf,
    },
}

impl DataFolder {
    /// Makes the folder if it is missing and takes its lock.
    ///
    /// A free lock is not enough: somebody may have deleted the file under a node that runs, or started a store by hand. Two
    /// Redis on one append-only file destroy it, and a second one unlinks the first one's socket. So a folder in which a store
    /// listens is never ours.
    ///
    /// # Errors
    /// The folder cannot be made, its path is too long for a socket, or stores that a killed Laurel left do not end.
    pub async fn open(path: &Path) -> Result<Holder, StartError> {
        make_private(path)?;
        let cannot = |error| StartError(format!("cannot use the data folder {}: {error}", path.display()));
        let real = fs::canonicalize(path).map_err(cannot)?;
        let longest = real.join("postgres/.s.PGSQL.5432").as_os_str().len();
        let root = nameable(real, path);
        if longest > MAX_SOCKET_PATH {
            return Err(StartError(format!(
                "the data folder's path is too long for Unix sockets ({longest} of {MAX_SOCKET_PATH} bytes): {}; set \
                 LAUREL_EMBEDDED__DATA_DIR to a shorter one",
                root.display()
            )));
        }
        let mut beside_a_store = 0;
        for _ in 0..LEFTOVERS_MS / POLL_MS {
            // Opened anew each time, as the file may have been deleted and made again meanwhile.
            let lock = open_private(&root.join(LOCK)).map_err(cannot)?;
            let mut owner = open_private(&root.join(OWNER)).map_err(cannot)?;
            if try_lock(&lock).map_err(cannot)? {
                let in_use = redis::listens(&root).await || postgres::listens(&root).await;
                if !in_use && try_lock(&owner).map_err(cannot)? {
                    sign(&mut owner).map_err(cannot)?;
                    return Ok(Holder::Us(Self { root, lock: Arc::new(lock), _owner: owner }));
                }
                beside_a_store += 1;
                if beside_a_store == TRIES_BESIDE_A_STORE {
                    let pid = living_owner(&mut owner).map_err(cannot)?;
                    return Ok(Holder::Other { pid, root });
                }
            } else if let Some(pid) = living_owner(&mut owner).map_err(cannot)? {
                return Ok(Holder::Other { pid: Some(pid), root });
            }
            tokio::time::sleep(Duration::from_millis(POLL_MS)).await;
        }
        Err(StartError(format!(
            "stores of an earlier Laurel still run on {} and do not end; look for them with: fuser {}",
            root.display(),
            root.join(LOCK).display()
        )))
    }

    /// The folder's absolute path; by way of the working folder, if it is not UTF-8.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The lock, for the stores to inherit.
    pub fn lock(&self) -> &Arc<File> {
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

/// The folder by a name that is UTF-8, as URLs of its sockets need it: its own, or else the one that the settings have, from the working
/// folder on.
fn nameable(real: PathBuf, named: &Path) -> PathBuf {
    if real.to_str().is_some() { real } else { Path::new("/proc/self/cwd").join(named) }
}

/// Whether a Laurel has ever used a folder. Asks without making anything.
pub fn was_used(path: &Path) -> bool {
    [LOCK, "redis", "postgres"].iter().any(|name| path.join(name).exists())
}

/// Makes a folder that only its owner can enter; an existing one keeps its permissions.
fn make_private(path: &Path) -> Result<(), StartError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| StartError(format!("cannot make the folder {}: {error}", path.display())))
}

fn open_private(path: &Path) -> io::Result<File> {
    File::options().create(true).truncate(false).read(true).write(true).mode(0o600).open(path)
}

fn try_lock(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn sign(owner: &mut File) -> io::Result<()> {
    owner.set_len(0)?;
    owner.rewind()?;
    writeln!(owner, "{}", std::process::id())
}

/// The pid of the Laurel that holds the owner's lock, if one does; 0 while it has not written it.
fn living_owner(owner: &mut File) -> io::Result<Option<i32>> {
    match owner.try_lock_shared() {
        Ok(()) => {
            owner.unlock()?;
            return Ok(None);
        }
        Err(TryLockError::WouldBlock) => {}
        Err(TryLockError::Error(error)) => return Err(error),
    }
    let mut text = String::new();
    owner.rewind()?;
    owner.read_to_string(&mut text)?;
    Ok(Some(text.trim().parse().unwrap_or_default()))
}
