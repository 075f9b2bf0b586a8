//! Embedded stores for a node without `REDIS_URL` or `DATABASE_URL`: real `redis-server` and `postgres` processes with their data, sockets
//! and logs in the data folder. They listen on Unix sockets that only this user can reach, and end with Laurel, even when it is killed.
//! Their data stays. This module does not depend on what is stored.

mod child;
mod data_folder;
mod postgres;
mod redis;

use std::io::ErrorKind;
use std::path::Path;
use std::time::{Duration, Instant};

use tokio::net::UnixStream;

pub use child::Child;
pub use data_folder::{DataFolder, Holder};
pub use postgres::Postgres;
pub use redis::Redis;

use crate::config::Config;

/// How long a command waits for the stores of a running node. A killed store must load its data first.
const START_TIMEOUT: Duration = Duration::from_secs(20);
const POLL_MS: u64 = 50;

/// Why an embedded store cannot start, in one line.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StartError(pub String);

/// Who needs the stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A node: creates missing stores and uses them exclusively.
    Node,
    /// A command that creates missing stores, or uses those of a running node.
    Create,
    /// A command that uses existing stores, or those of a running node.
    Use,
    /// A command that uses an existing Postgres only.
    UsePostgres,
}

/// The embedded stores of this process. [`Embedded::stop`] stops them, or the kernel if Laurel dies.
#[derive(Default)]
pub struct Embedded {
    redis: Option<Redis>,
    postgres: Option<Postgres>,
    /// Dropped last, after the stores.
    folder: Option<DataFolder>,
}

impl Embedded {
    /// Starts the stores without a URL in the settings, and adds their URLs and the login secret to the settings. Call it on the main
    /// thread: the kernel ends the children when the thread that started them ends.
    ///
    /// # Errors
    /// A binary is missing; the folder is in use, damaged, or from another Postgres version; a store is missing and `purpose` does not
    /// create it.
    pub async fn start(config: &mut Config, purpose: Purpose) -> Result<Self, StartError> {
        let missing = Missing {
            redis: config.redis.url.is_empty() && purpose != Purpose::UsePostgres,
            postgres: config.postgres.url.is_empty(),
        };
        let path = config.embedded.data_dir.clone();
        let path = Path::new(&path);
        if !(missing.redis || missing.postgres) {
            data_folder::read_secret(config, path)?;
            return Ok(Self::default());
        }
        let creates = matches!(purpose, Purpose::Node | Purpose::Create);
        if !creates && !data_folder::is_initialized(path) {
            return Err(missing.not_created(path));
        }
        let until = Instant::now() + START_TIMEOUT;
        while Instant::now() < until {
            match DataFolder::open(path).await? {
                Holder::Us(folder) => {
                    let absent = missing.absent(folder.root());
                    if !creates && (absent.redis || absent.postgres) {
                        return Err(absent.not_created(folder.root()));
                    }
                    return Self::start_in(folder, missing, creates, config).await;
                }
                Holder::Other { pid, root } if purpose == Purpose::Node => return Err(in_use(pid, &root)),
                Holder::Other { pid, root } if missing.answer(&root).await => {
                    tracing::debug!(?pid, "using the stores of the running node");
                    set_urls(config, &redis::url(&root), &postgres::url(&root));
                    data_folder::read_secret(config, &root)?;
                    return Ok(Self::default());
                }
                // The node restarts a killed store, or is about to start its stores.
                Holder::Other { .. } => tokio::time::sleep(Duration::from_millis(POLL_MS)).await,
            }
        }
        Err(StartError(format!(
            "the data folder {} is in use, but no {} answers there: set {} to the values of the node that uses it",
            path.display(),
            missing.names().join(" and "),
            missing.settings().join(" and "),
        )))
    }

    async fn start_in(
        folder: DataFolder,
        missing: Missing,
        creates: bool,
        config: &mut Config,
    ) -> Result<Self, StartError> {
        if creates {
            data_folder::create_secret(config, folder.root())?;
        } else {
            data_folder::read_secret(config, folder.root())?;
        }
        let mut stores = Self::default();
        if missing.redis {
            stores.redis = Some(Redis::start(&folder, &[]).await?);
        }
        if missing.postgres {
            stores.postgres = Some(Postgres::start(&folder, &[]).await?);
        }
        set_urls(config, &redis::url(folder.root()), &postgres::url(folder.root()));
        stores.folder = Some(folder);
        Ok(stores)
    }

    /// The settings with which another node joins the embedded stores. Leaves out stores of the operator, whose URL may have a password.
    pub fn join_hint(&self) -> Option<String> {
        let root = self.folder.as_ref()?.root();
        let mut hint = String::new();
        if self.redis.is_some() {
            hint.push_str(&format!("REDIS_URL='{}' ", redis::url(root)));
        }
        if self.postgres.is_some() {
            hint.push_str(&format!("DATABASE_URL='{}' ", postgres::url(root)));
        }
        Some(hint)
    }

    /// Restarts a store whenever it ends. Never returns; run it on the main thread.
    pub async fn keep_alive(&mut self) {
        loop {
            let redis = async {
                match &mut self.redis {
                    Some(redis) => redis.keep_alive().await,
                    None => std::future::pending().await,
                }
            };
            let postgres = async {
                match &mut self.postgres {
                    Some(postgres) => postgres.keep_alive().await,
                    None => std::future::pending().await,
                }
            };
            let restarted = tokio::select! { result = redis => result, result = postgres => result };
            if let Err(error) = restarted {
                tracing::error!(%error, "embedded store restart failed");
            }
        }
    }

    /// Stops Postgres, then Redis, and waits until both have written everything.
    pub async fn stop(self) {
        if let Some(postgres) = self.postgres {
            postgres.stop().await;
        }
        if let Some(redis) = self.redis {
            redis.stop().await;
        }
    }
}

/// The stores without a URL in the settings.
#[derive(Clone, Copy)]
struct Missing {
    redis: bool,
    postgres: bool,
}

impl Missing {
    /// Those that do not exist in a data folder.
    fn absent(self, root: &Path) -> Self {
        Self { redis: self.redis && !redis::exists(root), postgres: self.postgres && !postgres::exists(root) }
    }

    /// Whether all of them answer.
    async fn answer(self, root: &Path) -> bool {
        (!self.redis || redis::answers(root).await) && (!self.postgres || postgres::answers(root).await)
    }

    fn names(self) -> Vec<&'static str> {
        self.chosen("Redis", "Postgres")
    }

    fn settings(self) -> Vec<&'static str> {
        self.chosen("REDIS_URL", "DATABASE_URL")
    }

    fn chosen(self, redis: &'static str, postgres: &'static str) -> Vec<&'static str> {
        [(self.redis, redis), (self.postgres, postgres)].iter().filter(|it| it.0).map(|it| it.1).collect()
    }

    fn not_created(self, root: &Path) -> StartError {
        let root = std::path::absolute(root).unwrap_or_else(|_| root.to_owned());
        StartError(format!(
            "{} not set, and the data folder {} has no {}: set {}, or run `laurel serve` first",
            if self.settings().len() == 1 {
                format!("{} is", self.settings()[0])
            } else {
                "REDIS_URL and DATABASE_URL are".to_owned()
            },
            root.display(),
            self.names().join(" and "),
            if self.settings().len() == 1 { "it" } else { "them" },
        ))
    }
}

/// Whether a process listens on a Unix socket, even if it is stopped or its queue of connections is full.
async fn has_listener(socket: &Path) -> bool {
    match UnixStream::connect(socket).await {
        Ok(_) => true,
        Err(error) => error.kind() == ErrorKind::WouldBlock,
    }
}

/// Adds the login secret of the data folder to the settings if they have none, for commands that need it but no store.
///
/// # Errors
/// The file cannot be read.
pub fn read_secret(config: &mut Config) -> Result<(), StartError> {
    let folder = config.embedded.data_dir.clone();
    data_folder::read_secret(config, Path::new(&folder))
}

fn set_urls(config: &mut Config, redis: &str, postgres: &str) {
    if config.redis.url.is_empty() {
        config.redis.url = redis.to_owned().into();
    }
    if config.postgres.url.is_empty() {
        config.postgres.url = postgres.to_owned().into();
    }
}

/// Percent-encodes a path for a URL (RFC 3986).
fn url_path(path: &Path) -> String {
    let encode = |byte: &u8| match byte {
        b'/' | b'-' | b'_' | b'.' | b'~' => char::from(*byte).to_string(),
        byte if byte.is_ascii_alphanumeric() => char::from(*byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    path.as_os_str().as_encoded_bytes().iter().map(encode).collect()
}

fn in_use(pid: Option<i32>, root: &Path) -> StartError {
    let by = match pid {
        // The pid is not written yet.
        Some(0) => "a Laurel that is starting".into(),
        Some(pid) => format!("Laurel with pid {pid}"),
        None => "a store without a running Laurel".to_owned(),
    };
    StartError(format!(
        "the data folder {} is in use by {by}; to join its stores as a second node, set REDIS_URL='{}' DATABASE_URL='{}' and \
         another PORT",
        root.display(),
        redis::url(root),
        postgres::url(root)
    ))
}
