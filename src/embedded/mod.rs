//! The private stores of a node without `REDIS_URL` or `DATABASE_URL`: real `redis-server` and `postgres` processes whose
//! data, sockets and logs live in the data folder. They listen on Unix sockets that only this user can reach, end with
//! Laurel even when it is killed, and their data stays. Nothing here knows what is stored.

mod child;
mod folder;
mod postgres;
mod redis;
mod secret;

use std::path::{Path, PathBuf};

pub use child::Child;
pub use folder::{DataFolder, Holder};
pub use postgres::Postgres;
pub use redis::Redis;

use crate::config::Config;

/// One clear line about what keeps a private store from starting.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StartError(pub String);

/// The private stores of this process. They are stopped by [`Embedded::stop`], or by the kernel if Laurel dies.
#[derive(Default)]
pub struct Embedded {
    redis: Option<Redis>,
    postgres: Option<Postgres>,
    root: Option<PathBuf>,
}

impl Embedded {
    /// Starts what the settings leave out and puts the URLs and the login secret into them. Call it on the main thread:
    /// the kernel ends the children when the thread that started them ends.
    ///
    /// `join` says what to do when another Laurel runs on the data folder: a command uses its stores, a node does not.
    ///
    /// # Errors
    /// One line: a binary is missing, the folder is in use, damaged or of another Postgres version.
    pub async fn start(config: &mut Config, join: bool) -> Result<Self, StartError> {
        let (needs_redis, needs_postgres) =
            (config.store.redis_url.is_empty(), config.database.url.is_empty());
        let path = config.embedded.data_dir.clone();
        let path = Path::new(&path);
        if !(needs_redis || needs_postgres) {
            secret::take_if_there(config, path)?;
            return Ok(Self::default());
        }
        let folder = match DataFolder::open(path).await? {
            Holder::Us(folder) => folder,
            Holder::Other { pid, root } if join => {
                tracing::debug!(pid, "using the stores of the running node");
                set_urls(config, &redis::url(&root), &postgres::url(&root));
                secret::take_if_there(config, &root)?;
                return Ok(Self::default());
            }
            Holder::Other { pid, root } => return Err(in_use(pid, &root)),
        };
        secret::make_if_missing(config, folder.root())?;
        let mut stores = Self { root: Some(folder.root().to_owned()), ..Self::default() };
        if needs_redis {
            stores.redis = Some(Redis::start(&folder, &[]).await?);
        }
        if needs_postgres {
            stores.postgres = Some(Postgres::start(&folder, &[]).await?);
        }
        set_urls(config, &redis::url(folder.root()), &postgres::url(folder.root()));
        Ok(stores)
    }

    /// The settings by which another node joins the private stores; a store of the operator's is not named, since its
    /// URL may have a password.
    pub fn join_hint(&self) -> Option<String> {
        let root = self.root.as_ref()?;
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
    if config.store.redis_url.is_empty() {
        config.store.redis_url = redis.to_owned().into();
    }
    if config.database.url.is_empty() {
        config.database.url = postgres.to_owned().into();
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

fn in_use(pid: i32, root: &Path) -> StartError {
    StartError(format!(
        "the data folder {} is in use by Laurel with pid {pid}; to join its stores as a second node, set \
         REDIS_URL='{}' DATABASE_URL='{}' and another PORT",
        root.display(),
        redis::url(root),
        postgres::url(root)
    ))
}
