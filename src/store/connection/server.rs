//! One Redis server: its connections for commands, a circuit breaker, a pool for blocking reads, bound scripts, and waiting for replicas.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use deadpool_redis::Pool;
use parking_lot::Mutex;
use redis::aio::ConnectionManagerConfig;
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Cmd, ConnectionInfo, ErrorKind, FromRedisValue, Pipeline, RedisConnectionInfo,
    RedisError,
};
use tokio_util::task::AbortOnDropHandle;

use super::binding::Binding;
use super::managed_connection::ManagedConnection;
use super::outbox_reader;
use super::redis_error::{error_text, fault};
use super::replicas::Replicas;
use crate::circuit_breaker::CircuitBreaker;
use crate::config;
use crate::error::Fault;

/// Pause between two commands that test whether a server answers again.
const TRIAL_PAUSE: Duration = Duration::from_millis(250);

/// A command or a pipeline.
#[derive(Clone, Copy)]
pub enum Request<'a> {
    Command(&'a Cmd),
    Pipeline(&'a Pipeline),
}

/// Why a request has no reply.
pub enum CallError {
    /// An error reply; or the connection broke, and the command may have been executed.
    Failed(RedisError),
    /// Not sent, or no reply in time.
    TimedOut(&'static str),
}

/// A server.
pub struct Server {
    /// Host and port, or the socket, for logs.
    pub address: Arc<str>,
    pub client: redis::Client,
    connections: Vec<ManagedConnection>,
    next: AtomicUsize,
    /// Opens when a command times out.
    breaker: Mutex<CircuitBreaker>,
    /// For one reply.
    timeout: Duration,
    /// Connections for blocking reads of the outbox.
    pub blocking: Pool,
    pub replicas: Arc<Replicas>,
    pub binding: Binding,
    replica_waiter: OnceLock<AbortOnDropHandle<()>>,
}

impl Server {
    /// A server that is connected on the first command.
    ///
    /// # Errors
    /// The address is invalid.
    pub fn new(info: ConnectionInfo, config: &config::Redis) -> Result<Self, Fault> {
        let invalid = |error| Fault::new("read_redis_url", error);
        let timeout = Duration::from_millis(config.timeout_ms);
        // Send commands without delay, and detect a host that vanished.
        let tcp = TcpSettings::default().set_nodelay(true).set_user_timeout(timeout * 2);
        let info = info.set_tcp_settings(tcp);
        let client = redis::Client::open(info.clone()).map_err(invalid)?;
        let settings = ConnectionManagerConfig::new()
            .set_pipeline_buffer_size(1024)
            .set_connection_timeout(Some(timeout))
            .set_response_timeout(Some(timeout))
            .set_number_of_retries(1)
            .set_max_delay(Duration::from_millis(500));
        let connections = (0..config.connections)
            .map(|_| ManagedConnection::new(&client, &settings).map_err(invalid))
            .collect::<Result<_, _>>()?;
        let address = info.addr().to_string().into();
        let manager = deadpool_redis::Manager::new_with_config(
            info,
            AsyncConnectionConfig::new()
                .set_connection_timeout(Some(timeout))
                .set_response_timeout(Some(outbox_reader::RESPONSE_TIMEOUT)),
        )
        .map_err(invalid)?;
        let blocking = Pool::builder(manager)
            .max_size(2 * config.shards as usize)
            // The health check of an idle connection must not take as long as a blocking read.
            .create_timeout(Some(timeout))
            .recycle_timeout(Some(timeout))
            .runtime(deadpool_redis::Runtime::Tokio1)
            .build()
            .map_err(|error| Fault::new("build_blocking_pool", error))?;
        Ok(Self {
            address,
            replicas: Arc::new(Replicas::new(client.clone(), config)),
            binding: Binding::default(),
            replica_waiter: OnceLock::new(),
            client,
            connections,
            next: AtomicUsize::new(0),
            breaker: Mutex::new(CircuitBreaker::new(TRIAL_PAUSE)),
            timeout,
            blocking,
        })
    }

    /// Whether the last commands timed out.
    pub fn is_silent(&self) -> bool {
        self.breaker.lock().open_until().is_some()
    }

    /// The time-out for one reply.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Starts the task that waits for replicas, once. It ends with this server.
    pub fn start_replica_waiter(&self) {
        self.replica_waiter.get_or_init(|| {
            let replicas = self.replicas.clone();
            AbortOnDropHandle::new(tokio::spawn(async move { replicas.fence_forever().await }))
        });
    }

    /// Sends a request over one of the connections. The time-out includes a reconnect.
    pub async fn ask<T: FromRedisValue>(&self, request: Request<'_>) -> Result<T, CallError> {
        if !self.breaker.lock().allows(Instant::now()) {
            return Err(CallError::TimedOut("Redis did not answer recently"));
        }
        let next = self.next.fetch_add(1, Ordering::Relaxed);
        let managed = &self.connections[next % self.connections.len()];
        let mut connection = managed.get();
        // Boxed: the future is large, and the futures around it are moved several times.
        let query = Box::pin(async {
            match request {
                Request::Command(command) => command.query_async(&mut connection).await,
                Request::Pipeline(pipeline) => pipeline.query_async(&mut connection).await,
            }
        });
        match tokio::time::timeout(self.timeout, query).await {
            Ok(Ok(reply)) => {
                if self.breaker.lock().close() {
                    self.connections.iter().for_each(ManagedConnection::on_recovery);
                }
                Ok(reply)
            }
            Ok(Err(error)) if !RedisError::is_timeout(&error) => {
                managed.on_error(&error);
                Err(CallError::Failed(error))
            }
            _ => {
                self.breaker.lock().open(Instant::now());
                managed.on_timeout();
                Err(CallError::TimedOut("no answer in time"))
            }
        }
    }

    /// Sends a command to this server, without redirects.
    ///
    /// # Errors
    /// Redis is unavailable or refuses the command.
    pub async fn ask_here<T: FromRedisValue>(
        &self,
        operation: &'static str,
        command: &Cmd,
    ) -> Result<T, Fault> {
        self.ask(Request::Command(command)).await.map_err(|error| error.into_fault(operation))
    }

    /// The text of an error, in the words of the server.
    pub async fn error_text(&self, error: &CallError) -> String {
        match error {
            // redis-rs drops the reply to a refused login.
            CallError::Failed(error) if error.kind() == ErrorKind::AuthenticationFailed => {
                self.log_in().await.err().unwrap_or_else(|| error_text(error))
            }
            CallError::Failed(error) => error_text(error),
            CallError::TimedOut(text) => (*text).to_owned(),
        }
    }

    /// Connects, logs in and selects the database, step by step.
    ///
    /// # Errors
    /// The reply to the first refused step, or why the server cannot be reached.
    pub async fn log_in(&self) -> Result<(), String> {
        let login = self.client.get_connection_info().redis_settings().clone();
        let bare = RedisConnectionInfo::default().set_skip_set_lib_name();
        let bare = self.client.get_connection_info().clone().set_redis_settings(bare);
        let settings = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.timeout))
            .set_response_timeout(Some(self.timeout));
        let mut steps = Vec::new();
        if let Some(password) = login.password() {
            let mut step = redis::cmd("AUTH");
            step.arg(login.username()).arg(password);
            steps.push(step);
        }
        if login.db() != 0 {
            let mut step = redis::cmd("SELECT");
            step.arg(login.db());
            steps.push(step);
        }
        steps.push(redis::cmd("PING"));
        let logged_in = async {
            let mut connection =
                redis::Client::open(bare)?.get_multiplexed_async_connection_with_config(&settings).await?;
            for step in steps {
                step.exec_async(&mut connection).await?;
            }
            Ok(())
        };
        logged_in.await.map_err(|error: RedisError| error_text(&error))
    }
}

impl CallError {
    pub fn into_fault(self, operation: &'static str) -> Fault {
        match self {
            Self::Failed(error) => fault(operation, error),
            Self::TimedOut(text) => Fault::retryable(operation, text),
        }
    }
}
