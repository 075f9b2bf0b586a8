//! A multiplexed connection for commands, which is laid anew where redis-rs' own manager would stay with a dead one: it
//! reconnects when a connection breaks, but keeps for ever the error of a connection that was refused in words (too many
//! clients, a password that is being changed), and a connection that is open but says nothing any more.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{RedisError, RedisResult};

/// After an answer that only a refused connection, or a server in trouble, gives.
const RENEW_REFUSED: Duration = Duration::from_millis(250);
/// After silence. A stopped Redis still takes connections, so they must not pile up there.
const RENEW_SILENT: Duration = Duration::from_secs(5);

/// One line.
pub struct Line {
    client: redis::Client,
    settings: ConnectionManagerConfig,
    manager: ArcSwap<ConnectionManager>,
    laid: Mutex<Instant>,
    silent: AtomicBool,
}

impl Line {
    /// A line that is laid when it is first used.
    ///
    /// # Errors
    /// The address cannot be used.
    pub fn new(client: &redis::Client, settings: &ConnectionManagerConfig) -> RedisResult<Self> {
        let manager = ConnectionManager::new_lazy_with_config(client.clone(), settings.clone())?;
        Ok(Self {
            client: client.clone(),
            settings: settings.clone(),
            manager: ArcSwap::from_pointee(manager),
            laid: Mutex::new(Instant::now()),
            silent: AtomicBool::new(false),
        })
    }

    /// The connection as it is now.
    pub fn connection(&self) -> ConnectionManager {
        self.manager.load().as_ref().clone()
    }

    /// Notes that a command failed.
    pub fn failed(&self, error: &RedisError) {
        if !error.is_io_error() {
            self.lay(RENEW_REFUSED);
        }
    }

    /// Notes that a command was not answered in time.
    pub fn fell_silent(&self) {
        self.silent.store(true, Ordering::Relaxed);
        self.lay(RENEW_SILENT);
    }

    /// Redis answers again, perhaps on another line: one that was silent is not waited for any more.
    pub fn redis_is_back(&self) {
        if self.silent.load(Ordering::Relaxed) {
            self.lay(Duration::ZERO);
        }
    }

    /// Lays the line anew, unless that was just done.
    fn lay(&self, wait: Duration) {
        let mut laid = self.laid.lock();
        if laid.elapsed() < wait {
            return;
        }
        *laid = Instant::now();
        self.silent.store(false, Ordering::Relaxed);
        // It connects when it is first used; commands that wait on the old one are not disturbed.
        match ConnectionManager::new_lazy_with_config(self.client.clone(), self.settings.clone()) {
            Ok(manager) => self.manager.store(manager.into()),
            Err(error) => tracing::error!(%error, "a line to Redis cannot be laid anew"),
        }
    }
}
