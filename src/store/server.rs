//! One Redis server as a node sees it: its lines, whether it is silent, its connections that may block, and its fence.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use deadpool_redis::Pool;
use redis::aio::ConnectionManagerConfig;
use redis::io::tcp::TcpSettings;
use redis::{AsyncConnectionConfig, Cmd, ConnectionInfo, FromRedisValue, Pipeline, RedisError};
use tokio_util::task::AbortOnDropHandle;

use super::binding::Binding;
use super::line::Line;
use super::replicas::Replicas;
use super::silence::Silence;
use super::{fault, reader};
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
    Silent(Fault),
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
    pub fn new(info: ConnectionInfo, config: &config::Store) -> Result<Self, Fault> {
        let wrong = |error| Fault::new("read store.redis_url", error);
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
    pub async fn ask<T: FromRedisValue>(
        &self,
        doing: &'static str,
        question: Question<'_>,
    ) -> Result<T, Unanswered> {
        if !self.silence.may_ask(Instant::now()) {
            return Err(Unanswered::Silent(Fault::away(doing, "Redis did not answer just now")));
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
                Err(Unanswered::Silent(Fault::away(doing, "no answer in time")))
            }
        }
    }

    /// Asks something that nobody is sent elsewhere for.
    ///
    /// # Errors
    /// It is away, or says no.
    pub async fn ask_here<T: FromRedisValue>(&self, doing: &'static str, command: &Cmd) -> Result<T, Fault> {
        self.ask(doing, Question::Command(command)).await.map_err(|it| it.into_fault(doing))
    }
}

impl Unanswered {
    pub fn into_fault(self, doing: &'static str) -> Fault {
        match self {
            Self::Failed(error) => fault(doing, error),
            Self::Silent(fault) => fault,
        }
    }
}
