//! The private stores of a node without `REDIS_URL` or `DATABASE_URL`: real `redis-server` and `postgres` processes whose
//! data, sockets and logs live in the data folder. They listen on Unix sockets that only this user can reach, end with
//! Laurel even when it is killed, and their data stays. Nothing here knows what is stored.

mod child;
mod folder;
mod postgres;
mod redis;
mod secret;

use std::io::ErrorKind;
use std::path::Path;
use std::time::{Duration, Instant};

use tokio::net::UnixStream;

pub use child::Child;
pub use folder::{DataFolder, Holder};
pub use postgres::Postgres;
pub use redis::Redis;

use crate::config::Config;

/// So long a command waits for the stores of a node: one that was killed is loaded again.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);
const POLL_MS: u64 = 50;

/// One clear line about what keeps a private store from starting.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StartError(pub String);

/// What wants the stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A node: it makes the stores that are missing, and has them to itself.
    Node,
    /// A command that may make them (contract, section 10), or uses those of a running node.
    Make,
    /// Any other command: it uses those of a running node, or those that were made before.
    Use,
    /// The same, where Postgres is enough.
    UsePostgres,
}

/// The private stores of this process. They are stopped by [`Embedded::stop`], or by the kernel if Laurel dies.
#[derive(Default)]
pub struct Embedded {
    redis: Option<Redis>,
    postgres: Option<Postgres>,
    /// Last, as it is let go of after the stores.
    folder: Option<DataFolder>,
}

impl Embedded {
    /// Starts what the settings leave out and puts the URLs and the login secret into them. Call it on the main thread:
    /// the kernel ends the children when the thread that started them ends.
    ///
    /// # Errors
    /// One line: a binary is missing, the folder is in use, damaged or of another Postgres version; or no store was made and
    /// none may be.
    pub async fn start(config: &mut Config, purpose: Purpose) -> Result<Self, StartError> {
        let missing = Missing {
            redis: config.redis.url.is_empty() && purpose != Purpose::UsePostgres,
            postgres: config.postgres.url.is_empty(),
        };
        let path = config.embedded.data_dir.clone();
        let path = Path::new(&path);
        if !(missing.redis || missing.postgres) {
            secret::take_if_there(config, path)?;
            return Ok(Self::default());
        }
        let makes = matches!(purpose, Purpose::Node | Purpose::Make);
        if !makes && !folder::was_used(path) {
            return Err(missing.not_made(path));
        }
        let until = Instant::now() + ANSWER_WITHIN;
        while Instant::now() < until {
            match DataFolder::open(path).await? {
                Holder::Us(folder) => {
                    let unmade = missing.unmade(folder.root());
                    if !makes && (unmade.redis || unmade.postgres) {
                        return Err(unmade.not_made(folder.root()));
                    }
                    return Self::start_in(folder, missing, makes, config).await;
                }
                Holder::Other { pid, root } if purpose == Purpose::Node => return Err(in_use(pid, &root)),
                Holder::Other { pid, root } if missing.answer(&root).await => {
                    tracing::debug!(?pid, "using the stores of the running node");
                    set_urls(config, &redis::url(&root), &postgres::url(&root));
                    secret::take_if_there(config, &root)?;
                    return Ok(Self::default());
                }
                // A store that was killed comes back in a moment, and a node that starts has them soon.
                Holder::Other { .. } => tokio::time::sleep(Duration::from_millis(POLL_MS)).await,
            }
        }
        Err(StartError(format!(
            "the data folder {} is in use, but no {} answers there: set {} as the node that uses it has it",
            path.display(),
            missing.names().join(" and "),
            missing.settings().join(" and "),
        )))
    }

    async fn start_in(
        folder: DataFolder,
        missing: Missing,
        makes: bool,
        config: &mut Config,
    ) -> Result<Self, StartError> {
        if makes {
            secret::make_if_missing(config, folder.root())?;
        } else {
            secret::take_if_there(config, folder.root())?;
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

    /// The settings by which another node joins the private stores; a store of the operator's is not named, since its
    /// URL may have a password.
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

    /// Starts a store again whenever it ends by itself. Ends never; run it beside the node on the main thread.
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
            let again = tokio::select! { again = redis => again, again = postgres => again };
            if let Err(error) = again {
                tracing::error!(%error, "a private store does not come back");
            }
        }
    }

    /// Stops the stores in order and waits until they have written everything.
    pub async fn stop(self) {
        if let Some(postgres) = self.postgres {
            postgres.stop().await;
        }
        if let Some(redis) = self.redis {
            redis.stop().await;
        }
    }
}

/// The stores that the settings leave out.
#[derive(Clone, Copy)]
struct Missing {
    redis: bool,
    postgres: bool,
}

impl Missing {
    /// Those of them that were not made in a folder before.
    fn unmade(self, root: &Path) -> Self {
        Self {
            redis: self.redis && !redis::is_made(root),
            postgres: self.postgres && !postgres::is_made(root),
        }
    }

    /// Whether all of them answer in a folder.
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

    fn not_made(self, root: &Path) -> StartError {
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

/// Whether some process listens on a Unix socket: also one that is stopped, or too busy to take more connections.
async fn somebody_listens(socket: &Path) -> bool {
    match UnixStream::connect(socket).await {
        Ok(_) => true,
        Err(error) => error.kind() == ErrorKind::WouldBlock,
    }
}

/// Puts the login secret of the private stores into the settings, if these have none and it was made: for what needs the
/// secret, but no store.
///
/// # Errors
/// It cannot be read.
pub fn take_secret(config: &mut Config) -> Result<(), StartError> {
    let folder = config.embedded.data_dir.clone();
    secret::take_if_there(config, Path::new(&folder))
}

fn set_urls(config: &mut Config, redis: &str, postgres: &str) {
    if config.redis.url.is_empty() {
        config.redis.url = redis.to_owned().into();
    }
    if config.postgres.url.is_empty() {
        config.postgres.url = postgres.to_owned().into();
    }
}

/// A path as it stands in a URL (RFC 3986): bytes beyond the unreserved ones are percent-encoded.
fn in_url(path: &Path) -> String {
    let encode = |byte: &u8| match byte {
        b'/' | b'-' | b'_' | b'.' | b'~' => char::from(*byte).to_string(),
        byte if byte.is_ascii_alphanumeric() => char::from(*byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    path.as_os_str().as_encoded_bytes().iter().map(encode).collect()
}

fn in_use(pid: Option<i32>, root: &Path) -> StartError {
    let by = match pid {
        // It has not written its pid yet.
        Some(0) => "a Laurel that is starting".into(),
        Some(pid) => format!("Laurel with pid {pid}"),
        None => "a store that no Laurel looks after".to_owned(),
    };
    StartError(format!(
        "the data folder {} is in use by {by}; to join its stores as a second node, set REDIS_URL='{}' DATABASE_URL='{}' and \
         another PORT",
        root.display(),
        redis::url(root),
        postgres::url(root)
    ))
}
