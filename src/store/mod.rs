//! Redis: keys, scripts, the outbox's stream and the subscriptions. The only importer of `redis`. It knows no HTTP, no SQL
//! and no rule that is not in a script.

mod attempt;
mod board;
mod connect;
mod epoch;
mod issue;
mod keys;
mod lease;
mod line;
mod load;
mod news;
mod operator;
mod outbox;
mod prove;
mod redeem;
mod replicas;
mod reply;
mod script;
mod session;
mod shape;
mod silence;
mod subscriber;
mod totals;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use deadpool_redis::Pool;
use redis::FromRedisValue;
use redis::aio::ConnectionManager;

pub use attempt::{AttemptWindow, Attempts};
pub use board::{Look, Mended};
pub use issue::{Begun, Issue, IssueOutcome};
pub use keys::{BANNED_NEWS, BOARD_CHANNEL, TRACE_CHANNEL, personal_channel};
pub use lease::{Lease, Visitor};
pub use load::{Counted, Load, Standing};
pub use news::PersonalNews;
pub use operator::{Adjust, Adjusted, NotDone, Restrict};
pub use outbox::{Entry, EntryKind, OutboxReader};
pub use prove::{AskedToken, Prove, ProveOutcome};
pub use redeem::{Awarded, IdempotencyKey, NextToken, Redeem, RedeemOutcome, Redeemed, Stamp};
pub use session::{Finished, NoSession, Session, Start, StartOutcome};
pub use shape::{BoardShape, Bucket};
pub use subscriber::Subscription;
pub use totals::{Members, Total};

use crate::action::Limits;
use crate::error::Fault;
use crate::metrics::Metrics;
use crate::traces::{self, Span, SpanKind};
use line::Line;
use replicas::Replicas;
use reply::Reply;
use script::Scripts;
use silence::Silence;

/// The window of every limit a minute, as the scripts take it.
const MINUTE_MS: &str = "60000";

/// An action's own limits, as `lua/lib/limits.lua` reads them.
fn limit_arguments(limits: &Limits) -> [String; 5] {
    [
        limits.cooldown_ms.to_string(),
        limits.cap_per_hour.to_string(),
        limits.cap_per_day.to_string(),
        limits.opens_at_ms.to_string(),
        limits.open_for_ms.to_string(),
    ]
}

/// Redis, as one node sees it.
pub struct Store {
    lines: Vec<Line>,
    turn: AtomicUsize,
    silence: Silence,
    replicas: Replicas,
    client: redis::Client,
    /// Connections that may block: readers of the outbox.
    blocking: Pool,
    scripts: Scripts,
    /// The latest epoch of the board that this node has heard of.
    epoch: AtomicI64,
    metrics: Arc<Metrics>,
    /// An answer that takes longer counts as Redis being away.
    timeout: Duration,
}

impl Store {
    /// One of the lines, in turn.
    fn line(&self) -> &Line {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        &self.lines[turn % self.lines.len()]
    }

    /// A connection for what no caller waits for.
    fn command(&self) -> ConnectionManager {
        self.line().connection()
    }

    /// Waits for an answer over a line. A reconnection that is under way counts too: nobody waits longer than for an answer.
    async fn in_time<T>(
        &self,
        doing: &'static str,
        line: &Line,
        asked: impl Future<Output = redis::RedisResult<T>>,
    ) -> Result<T, Fault> {
        if !self.silence.may_ask(Instant::now()) {
            return Err(Fault::away(doing, "Redis did not answer just now"));
        }
        let answer = tokio::time::timeout(self.timeout, asked).await;
        match answer.ok().filter(|it| !it.as_ref().is_err_and(redis::RedisError::is_timeout)) {
            Some(Ok(answer)) => {
                if self.silence.ended() {
                    self.lines.iter().for_each(Line::redis_is_back);
                }
                Ok(answer)
            }
            Some(Err(error)) => {
                line.failed(&error);
                Err(fault(doing, error))
            }
            None => {
                self.silence.fell(Instant::now());
                line.fell_silent();
                Err(Fault::away(doing, "no answer in time"))
            }
        }
    }

    /// Asks one command that a caller waits for.
    async fn ask<T: FromRedisValue>(&self, doing: &'static str, command: &redis::Cmd) -> Result<T, Fault> {
        let (started, line) = (Instant::now(), self.line());
        let answer = self.in_time(doing, line, command.query_async(&mut line.connection())).await;
        self.metrics.redis_command(doing, started.elapsed(), answer.is_ok());
        answer
    }

    /// Runs one script and times it under its name.
    async fn run(
        &self,
        name: &'static str,
        script: &redis::Script,
        keys: &[&str],
        arguments: &[String],
    ) -> Result<Reply, Fault> {
        self.run_in(script_span(name), name, script, keys, arguments).await
    }

    /// The same in a span that has begun.
    async fn run_in(
        &self,
        mut span: Span,
        name: &'static str,
        script: &redis::Script,
        keys: &[&str],
        arguments: &[String],
    ) -> Result<Reply, Fault> {
        let mut invocation = script.prepare_invoke();
        for key in keys {
            invocation.key(key);
        }
        for argument in arguments {
            invocation.arg(argument);
        }
        let (started, line) = (Instant::now(), self.line());
        let mut connection = line.connection();
        let result: Result<Vec<redis::Value>, Fault> =
            self.in_time(name, line, invocation.invoke_async(&mut connection)).await;
        self.metrics.redis_call(name, started.elapsed(), result.is_ok());
        if let Err(fault) = &result {
            span.fail(if fault.away { "away" } else { "refused" });
        }
        result.map(|values| Reply::new(name, values))
    }

    /// Microseconds since the Unix epoch by Redis' clock.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn now_us(&self) -> Result<i64, Fault> {
        let (seconds, micros): (i64, i64) = self.ask("read Redis' clock", &redis::cmd("TIME")).await?;
        Ok(seconds * 1_000_000 + micros)
    }

    /// Connections of the blocking pool: in use, and open.
    pub fn pool_use(&self) -> (usize, usize) {
        let status = self.blocking.status();
        (status.size.saturating_sub(status.available), status.size)
    }
}

/// A script's span, in OpenTelemetry's words for databases.
fn script_span(name: &'static str) -> Span {
    let mut span = traces::child(SpanKind::Client, || format!("EVALSHA {name}").into());
    span.set("db.system.name", "redis");
    span.set("db.operation.name", "EVALSHA");
    span.set("db.stored_procedure.name", name);
    span
}

/// Sorts what Redis says: away (try again), or wrong.
fn fault(doing: &'static str, error: redis::RedisError) -> Fault {
    // A password that is being changed is wrong for a moment (the last two).
    let passing = [
        "LOADING",
        "OOM",
        "BUSY",
        "READONLY",
        "MASTERDOWN",
        "MISCONF",
        "CLUSTERDOWN",
        "NOREPLICAS",
        "NOAUTH",
        "WRONGPASS",
    ];
    let away = error.is_io_error()
        || error.is_timeout()
        || error.is_connection_dropped()
        || error.is_connection_refusal()
        || error.kind() == redis::ErrorKind::AuthenticationFailed
        || error.code().is_some_and(|code| passing.contains(&code));
    if away { Fault::away(doing, error) } else { Fault::new(doing, error) }
}
