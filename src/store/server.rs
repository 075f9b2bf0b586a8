//! One Redis server as a node sees it: its lines, whether it is silent, its connections that may block, and its fence.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use deadpool_redis::Pool;
use redis::aio::ConnectionManagerConfig;
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Cmd, ConnectionInfo, ErrorKind, FromRedisValue, Pipeline, RedisConnectionInfo,
    RedisError,
};
use tokio_util::task::AbortOnDropHandle;

use super::binding::Binding;
use super::line::Line;
use super::reader;
use super::redis_error::{fault, words};
use super::replicas::Replicas;
use super::silence::Silence;
use crate::config;
use crate::error::Fault;

/// What is asked: one command, or several at once.
#[derive(Clone, Copy)]
pub enum Question<'a> {
    Command(&'a Cmd),
    Pipeline(&'a Pipeline),
}

/// What became of a question that got no answer.
pub enum Unanswered {
    /// Redis said no; or the connection broke, and nobody knows.
    Failed(RedisError),
    /// It was never asked, or there was no answer in time.
    Silent(&'static str),
}

/// One server.
pub struct Server {
    /// Where it is, as it is logged.
    pub address: Arc<str>,
    pub client: redis::Client,
    lines: Vec<Line>,
    turn: AtomicUsize,
    silence: Silence,
    /// An answer that takes longer counts as Redis being away.
    timeout: Duration,
    /// Connections that may block: readers of the outbox.
    pub blocking: Pool,
    pub replicas: Arc<Replicas>,
    pub binding: Binding,
    fencing: OnceLock<AbortOnDropHandle<()>>,
}

impl Server {
    /// A server that is connected to when it is first asked.
    ///
    /// # Errors
    /// The address cannot be used.
    pub fn new(info: ConnectionInfo, config: &config::Redis) -> Result<Self, Fault> {
        let wrong = |error| Fault::new("read redis.url", error);
        let timeout = Duration::from_millis(config.timeout_ms);
        // Commands go out at once, and a host that vanished is noticed.
        let tcp = TcpSettings::default().set_nodelay(true).set_user_timeout(timeout * 2);
        let info = info.set_tcp_settings(tcp);
        let client = redis::Client::open(info.clone()).map_err(wrong)?;
        let settings = ConnectionManagerConfig::new()
            .set_pipeline_buffer_size(1024)
            .set_connection_timeout(Some(timeout))
            .set_response_timeout(Some(timeout))
            .set_number_of_retries(1)
            .set_max_delay(Duration::from_millis(500));
        let lines = (0..config.connections).map(|_| Line::new(&client, &settings).map_err(wrong));
        let lines = lines.collect::<Result<_, _>>()?;
        let address = info.addr().to_string().into();
        let manager = deadpool_redis::Manager::new_with_config(
            info,
            AsyncConnectionConfig::new()
                .set_connection_timeout(Some(timeout))
                .set_response_timeout(Some(reader::HANGS_AFTER)),
        )
        .map_err(wrong)?;
        let blocking = Pool::builder(manager)
            .max_size(2 * config.shards as usize)
            // A kept connection to a server that hangs is asked for a sign of life first, which must not take as long as a read may.
            .create_timeout(Some(timeout))
            .recycle_timeout(Some(timeout))
            .runtime(deadpool_redis::Runtime::Tokio1)
            .build()
            .map_err(|error| Fault::new("build the pool for blocking reads", error))?;
        Ok(Self {
            address,
            replicas: Arc::new(Replicas::new(client.clone(), config)),
            binding: Binding::default(),
            fencing: OnceLock::new(),
            client,
            lines,
            turn: AtomicUsize::new(0),
            silence: Silence::default(),
            timeout,
            blocking,
        })
    }

    /// Whether it did not answer just now.
    pub fn is_silent(&self) -> bool {
        self.silence.lasts()
    }

    /// How long an answer may take.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Asks replicas for those who wait, from now on until this server is given up.
    pub fn fence(&self) {
        self.fencing.get_or_init(|| {
            let replicas = self.replicas.clone();
            AbortOnDropHandle::new(tokio::spawn(async move { replicas.fence_forever().await }))
        });
    }

    /// Asks over one of the lines. A reconnection that is under way counts too: nobody waits longer than for an answer.
    pub async fn ask<T: FromRedisValue>(&self, question: Question<'_>) -> Result<T, Unanswered> {
        if !self.silence.may_ask(Instant::now()) {
            return Err(Unanswered::Silent("Redis did not answer just now"));
        }
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let line = &self.lines[turn % self.lines.len()];
        let mut connection = line.connection();
        // In a box: it is large, and what waits for it is moved several times before it begins.
        let asked = Box::pin(async {
            match question {
                Question::Command(command) => command.query_async(&mut connection).await,
                Question::Pipeline(pipeline) => pipeline.query_async(&mut connection).await,
            }
        });
        let answer = tokio::time::timeout(self.timeout, asked).await;
        match answer.ok().filter(|it: &Result<T, RedisError>| !it.as_ref().is_err_and(RedisError::is_timeout))
        {
            Some(Ok(answer)) => {
                if self.silence.ended() {
                    self.lines.iter().for_each(Line::redis_is_back);
                }
                Ok(answer)
            }
            Some(Err(error)) => {
                line.failed(&error);
                Err(Unanswered::Failed(error))
            }
            None => {
                self.silence.fell(Instant::now());
                line.fell_silent();
                Err(Unanswered::Silent("no answer in time"))
            }
        }
    }

    /// Asks something that nobody is sent elsewhere for.
    ///
    /// # Errors
    /// It is away, or says no.
    pub async fn ask_here<T: FromRedisValue>(&self, doing: &'static str, command: &Cmd) -> Result<T, Fault> {
        self.ask(Question::Command(command)).await.map_err(|it| it.into_fault(doing))
    }

    /// Why there was no answer, in the server's own words.
    pub async fn words(&self, unanswered: &Unanswered) -> String {
        match unanswered {
            // Of a refused login redis-rs keeps no word.
            Unanswered::Failed(error) if error.kind() == ErrorKind::AuthenticationFailed => {
                self.greet().await.err().unwrap_or_else(|| words(error))
            }
            Unanswered::Failed(error) => words(error),
            Unanswered::Silent(why) => (*why).to_owned(),
        }
    }

    /// Connects, logs in and chooses the database, one after the other.
    ///
    /// # Errors
    /// What the server says to the first step that it refuses, or why it cannot be reached.
    pub async fn greet(&self) -> Result<(), String> {
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
        let greeted = async {
            let mut connection =
                redis::Client::open(bare)?.get_multiplexed_async_connection_with_config(&settings).await?;
            for step in steps {
                step.exec_async(&mut connection).await?;
            }
            Ok(())
        };
        greeted.await.map_err(|error: RedisError| words(&error))
    }
}

impl Unanswered {
    pub fn into_fault(self, doing: &'static str) -> Fault {
        match self {
            Self::Failed(error) => fault(doing, error),
            Self::Silent(words) => Fault::retryable(doing, words),
        }
    }
}
