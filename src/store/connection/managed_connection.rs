//! A multiplexed connection for commands, with reconnects that redis-rs' `ConnectionManager` lacks. The manager reconnects when a
//! connection breaks. It keeps the error of a connection that the server refused (too many clients, a password change), and it keeps an
//! open connection that no longer answers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{RedisError, RedisResult};

/// Minimum age of a connection before an error reply, which a refused connection repeats, replaces it.
const MIN_AGE_AFTER_ERROR: Duration = Duration::from_millis(250);
/// Minimum age before a time-out replaces it. A stopped Redis still accepts connections, which must not pile up there.
const MIN_AGE_AFTER_TIMEOUT: Duration = Duration::from_secs(5);

/// One connection.
pub struct ManagedConnection {
    client: redis::Client,
    settings: ConnectionManagerConfig,
    manager: ArcSwap<ConnectionManager>,
    created_at: Mutex<Instant>,
    has_timed_out: AtomicBool,
}

impl ManagedConnection {
    /// A connection that is opened by its first command.
    ///
    /// # Errors
    /// The address is invalid.
    pub fn new(client: &redis::Client, settings: &ConnectionManagerConfig) -> RedisResult<Self> {
        let manager = ConnectionManager::new_lazy_with_config(client.clone(), settings.clone())?;
        Ok(Self {
            client: client.clone(),
            settings: settings.clone(),
            manager: ArcSwap::from_pointee(manager),
            created_at: Mutex::new(Instant::now()),
            has_timed_out: AtomicBool::new(false),
        })
    }

    /// The current connection.
    pub fn get(&self) -> ConnectionManager {
        self.manager.load().as_ref().clone()
    }

    /// Handles an error reply.
    pub fn on_error(&self, error: &RedisError) {
        if !error.is_io_error() {
            self.reconnect(MIN_AGE_AFTER_ERROR);
        }
    }

    /// Handles a time-out.
    pub fn on_timeout(&self) {
        self.has_timed_out.store(true, Ordering::Relaxed);
        self.reconnect(MIN_AGE_AFTER_TIMEOUT);
    }

    /// Redis answers again, perhaps on another connection: replaces this one if it timed out.
    pub fn on_recovery(&self) {
        if self.has_timed_out.load(Ordering::Relaxed) {
            self.reconnect(Duration::ZERO);
        }
    }

    /// Replaces the connection if it has this age.
    fn reconnect(&self, min_age: Duration) {
        let mut created_at = self.created_at.lock();
        if created_at.elapsed() < min_age {
            return;
        }
        *created_at = Instant::now();
        self.has_timed_out.store(false, Ordering::Relaxed);
        // It connects on the first use. Commands in flight on the old connection go on.
        match ConnectionManager::new_lazy_with_config(self.client.clone(), self.settings.clone()) {
            Ok(manager) => self.manager.store(manager.into()),
            Err(error) => tracing::error!(%error, "redis reconnect failed"),
        }
    }
}
