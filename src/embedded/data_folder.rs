//! The data folder and its locks, which prevent its use by two Laurels, or together with stores that a killed Laurel left running.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use data_encoding::HEXLOWER;

use super::child::Account;
use super::{StartError, postgres, redis};
use crate::config::Config;

/// The longest path of a Unix socket, in bytes (`sun_path` in unix(7)).
const MAX_SOCKET_PATH: usize = 107;

/// How long the stores of a killed Laurel may take to end.
const LEFTOVERS_MS: u64 = 20_000;
const POLL_MS: u64 = 50;

/// Retries if the lock is free but a store listens or a Laurel lives: a process that ends closes its files one by one, and another command
/// holds the second lock for a moment.
const MAX_RETRIES_WHILE_IN_USE: u32 = 20;

/// Locked while any process uses the data. The stores inherit the lock.
const LOCK: &str = "laurel.lock";
/// Locked while the Laurel that owns the folder lives, and contains its pid. No other process inherits this lock, so it proves that the
/// owner lives; a pid does not, since another process may have it by now.
const OWNER: &str = "laurel.pid";
/// The login secret, created once and readable by its owner only.
const SECRET: &str = "jwt_secret";

/// The folder, locked by this process and by the stores that it starts.
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
    /// Another process.
    Other {
        /// The process id of the Laurel that owns the folder; `None` if a store listens there without a Laurel.
        pid: Option<i32>,
        /// The folder's absolute path.
        root: PathBuf,
    },
}

impl DataFolder {
    /// Creates the folder if missing, and locks it.
    ///
    /// A free lock is not enough: the file may have been deleted under a running node, or a store started by hand. Two Redis on one
    /// append-only file destroy it, and the second unlinks the socket of the first. So a folder in which a store listens is never taken.
    ///
    /// # Errors
    /// The folder cannot be created, its path is too long for a socket, or stores that a killed Laurel left do not end.
    pub async fn open(path: &Path) -> Result<Holder, StartError> {
        create_private(path)?;
        let cannot = |error| StartError(format!("cannot use the data folder {}: {error}", path.display()));
        let real = fs::canonicalize(path).map_err(cannot)?;
        let longest = real.join("postgres/.s.PGSQL.5432").as_os_str().len();
        let root = utf8_path(real, path);
        if longest > MAX_SOCKET_PATH {
            return Err(StartError(format!(
                "the data folder's path is too long for Unix sockets ({longest} of {MAX_SOCKET_PATH} bytes): {}; set \
                 LAUREL_EMBEDDED__DATA_DIR to a shorter one",
                root.display()
            )));
        }
        let mut retries_while_in_use = 0;
        for _ in 0..LEFTOVERS_MS / POLL_MS {
            // Reopened each time, since the file may have been deleted and created again.
            let lock = open_private(&root.join(LOCK)).map_err(cannot)?;
            let mut owner = open_private(&root.join(OWNER)).map_err(cannot)?;
            if try_lock(&lock).map_err(cannot)? {
                let in_use = redis::listens(&root).await || postgres::listens(&root).await;
                if !in_use && try_lock(&owner).map_err(cannot)? {
                    write_pid(&mut owner).map_err(cannot)?;
                    return Ok(Holder::Us(Self { root, lock: Arc::new(lock), _owner: owner }));
                }
                retries_while_in_use += 1;
                if retries_while_in_use == MAX_RETRIES_WHILE_IN_USE {
                    let pid = living_owner(&mut owner).map_err(cannot)?;
                    return Ok(Holder::Other { pid, root });
                }
            } else if let Some(pid) = living_owner(&mut owner).map_err(cannot)? {
                return Ok(Holder::Other { pid: Some(pid), root });
            }
            tokio::time::sleep(Duration::from_millis(POLL_MS)).await;
        }
        Err(StartError(format!(
            "stores of an earlier Laurel still run on {} and do not end; find them with: fuser {}",
            root.display(),
            root.join(LOCK).display()
        )))
    }

    /// The folder's absolute path, through the working directory if it is not UTF-8.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The lock, for the stores to inherit.
    pub fn lock(&self) -> &Arc<File> {
        &self.lock
    }

    /// Creates a subfolder that only `account`, or this account, can enter.
    pub fn subfolder(&self, name: &str, account: Option<Account>) -> Result<PathBuf, StartError> {
        let path = self.root.join(name);
        create_private(&path)?;
        if let Some(Account { uid, gid }) = account {
            std::os::unix::fs::chown(&path, Some(uid), Some(gid)).map_err(|error| {
                StartError(format!("cannot give {} to postgres: {error}", path.display()))
            })?;
        }
        Ok(path)
    }
}

/// A UTF-8 path of the folder, which the URLs of its sockets need: the real path, else the path in the settings through the working
/// directory.
fn utf8_path(real: PathBuf, configured: &Path) -> PathBuf {
    if real.to_str().is_some() { real } else { Path::new("/proc/self/cwd").join(configured) }
}

/// Whether a Laurel has ever used the folder.
pub fn is_initialized(path: &Path) -> bool {
    [LOCK, "redis", "postgres"].iter().any(|name| path.join(name).exists())
}

/// Creates a folder that only its owner can enter. An existing folder keeps its permissions.
fn create_private(path: &Path) -> Result<(), StartError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| StartError(format!("cannot create the folder {}: {error}", path.display())))
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

fn write_pid(owner: &mut File) -> io::Result<()> {
    owner.set_len(0)?;
    owner.rewind()?;
    writeln!(owner, "{}", std::process::id())
}

/// The pid of the Laurel that holds the owner lock; 0 if it has not written its pid yet.
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

/// Adds the secret of the data folder to the settings, if it exists and they have none.
pub fn read_secret(config: &mut Config, root: &Path) -> Result<(), StartError> {
    let path = root.join(SECRET);
    if config.auth.jwt_secret.is_empty() && path.exists() {
        let text = fs::read_to_string(&path)
            .map_err(|error| StartError(format!("cannot read {}: {error}", path.display())))?;
        config.auth.jwt_secret = text.trim().to_owned().into();
    }
    Ok(())
}

/// Like `read_secret`, but creates a missing secret: 32 random bytes in hex.
pub fn create_secret(config: &mut Config, root: &Path) -> Result<(), StartError> {
    let path = root.join(SECRET);
    if config.auth.jwt_secret.is_empty() && !path.exists() {
        let cannot = |error| StartError(format!("cannot write {}: {error}", path.display()));
        let text = HEXLOWER.encode(&rand::random::<[u8; 32]>());
        let unfinished = root.join("jwt_secret.unfinished");
        let mut file = File::options()
            .create(true)
            .write(true)
            .truncate(true)
            .mode(0o600)
            .open(&unfinished)
            .map_err(cannot)?;
        writeln!(file, "{text}").and_then(|()| file.sync_all()).map_err(cannot)?;
        fs::rename(&unfinished, &path).map_err(cannot)?;
    }
    read_secret(config, root)
}
