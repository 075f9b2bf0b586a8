//! Redis: keys, scripts, the outbox's stream and the subscriptions. The only importer of `redis`. It knows no HTTP, no SQL
//! and no rule that is not in a script.

mod above;
mod action_waits;
mod attempt;
mod board;
mod connection;
mod entry;
mod epoch;
mod gather;
mod issue;
mod judging;
mod keys;
mod lease;
mod load;
#[doc(hidden)]
pub mod measured;
mod news;
mod operator;
mod outbox;
mod prove;
mod redeem;
mod redeemed;
mod reply;
mod script;
mod session;
mod shape;
mod shard;
mod totals;

use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::FromRedisValue;

pub use attempt::{AttemptWindow, Attempts};
pub use board::{BoardState, Mended, ShardState};
pub use connection::{OutboxReader, Subscription};
pub use entry::{Entry, EntryKind, Unread};
pub use issue::{ChallengeSeed, Issue, IssueOutcome};
pub use judging::{Judging, Reservation};
pub use keys::{BANNED_NEWS, BOARD_CHANNEL, TRACE_CHANNEL, personal_channel};
pub use lease::{QuotaLease, RateLimitKey};
pub use load::{Counted, Load, PointsWon, REMEMBERED_MS, Standing};
pub use news::PersonalNews;
pub use operator::{Adjust, Adjusted, InForce, NotDone, Restrict};
pub use outbox::OLDEST;
pub use prove::{AskedToken, Prove, ProveOutcome, ProveReply};
pub use redeem::{IdempotencyKey, NextToken, Redeem};
pub use redeemed::{Awarded, RedeemOutcome, Redeemed, Stamp};
pub use session::{Finished, NoSession, Session, Start, StartOutcome};
pub use shape::{BoardShape, Bucket};
pub use shard::{Seen, shard_of};
pub use totals::{Members, Total};

use crate::action::{Limits, ProofResult};
use crate::error::Fault;
use crate::metrics::Metrics;
use crate::traces::{self, Span, SpanKind};
use above::Above;
use connection::binding;
use connection::redis_error::is_redirect;
use connection::server::{CallError, Request};
use connection::topology::Topology;
use reply::Reply;
use script::{Script, Scripts};
use shard::Shard;

/// The window of every limit a minute, as the scripts take it.
const MINUTE_MS: &str = "60000";

/// An action's own limits, as `lua/lib/limits.lua` reads them.
fn limits_text(limits: &Limits) -> String {
    let Limits { cooldown_ms, cap_per_hour, cap_per_day, opens_at_ms, open_for_ms, span_ms } = limits;
    if *limits == Limits::default() {
        return String::new();
    }
    format!("{cooldown_ms} {cap_per_hour} {cap_per_day} {opens_at_ms} {open_for_ms} {span_ms}")
}

/// When a proof stands, as `lua/lib/proof.lua` reads it.
fn span_text(verdict: &ProofResult) -> String {
    let ((min_ms, max_ms), (from_ms, until_ms)) = (verdict.age_ms, verdict.valid_ms);
    if ((min_ms, max_ms), (from_ms, until_ms)) == ((0, 0), (0, 0)) {
        return String::new();
    }
    format!("{min_ms} {max_ms} {from_ms} {until_ms}")
}

/// Redis, as one node sees it.
pub struct Store {
    shards: Vec<Shard>,
    /// The board that is merged of the shards; none where there is only one.
    face: Option<Shard>,
    above: Above,
    topology: Topology,
    scripts: Scripts,
    metrics: Arc<Metrics>,
    wait_replicas: u32,
    /// For one reply.
    timeout: Duration,
}

/// Pause before a redirected request is sent again. A slot may take a while to move.
const REDIRECT_PAUSE: Duration = Duration::from_millis(20);

impl Store {
    /// Sends a request to the server of a shard. A redirect means that nothing was executed: the request is sent again, until the time-out.
    /// A request that may have been executed is never repeated.
    async fn ask_at<T: FromRedisValue>(&self, shard: &Shard, request: Request<'_>) -> Result<T, CallError> {
        let last = Instant::now() + self.timeout;
        loop {
            match shard.server().ask(request).await {
                Err(CallError::Failed(error)) if self.topology.is_dynamic() && Instant::now() < last => {
                    if !is_redirect(&error) {
                        return Err(CallError::Failed(error));
                    }
                    tokio::time::sleep(REDIRECT_PAUSE).await;
                    if let Err(fault) = self.refresh_topology().await {
                        tracing::debug!(%fault, "topology refresh after a redirect failed");
                    }
                }
                answer => return answer,
            }
        }
    }

    /// Sends one command and records its time in the metrics.
    async fn ask<T: FromRedisValue>(
        &self,
        shard: &Shard,
        doing: &'static str,
        command: &redis::Cmd,
    ) -> Result<T, Fault> {
        let started = Instant::now();
        let answer = self.ask_at(shard, Request::Command(command)).await;
        self.metrics.redis_command(doing, started.elapsed(), answer.is_ok());
        answer.map_err(|it| it.into_fault(doing))
    }

    /// Sends a pipeline of commands about one shard.
    async fn ask_all<T: FromRedisValue>(
        &self,
        shard: &Shard,
        doing: &'static str,
        pipeline: &redis::Pipeline,
    ) -> Result<T, Fault> {
        let answer = self.ask_at(shard, Request::Pipeline(pipeline)).await;
        answer.map_err(|it| it.into_fault(doing))
    }

    /// Runs one script and times it under its name.
    async fn run(
        &self,
        shard: &Shard,
        script: &Script,
        keys: &[&str],
        arguments: &[String],
    ) -> Result<Reply, Fault> {
        self.run_in(script_span(script.name), shard, script, keys, arguments).await
    }

    /// The same in a span that has begun.
    async fn run_in(
        &self,
        mut span: Span,
        shard: &Shard,
        script: &Script,
        keys: &[&str],
        arguments: &[String],
    ) -> Result<Reply, Fault> {
        let (started, name) = (Instant::now(), script.name);
        let server = shard.server();
        let bound = server.binding.sha(script);
        let by_name = script.by_name(bound.as_deref(), keys, arguments);
        let mut answer = self.ask_at(shard, Request::Command(&by_name)).await;
        if bound.is_some() && is_unknown(&answer) {
            server.binding.clear();
            let by_name = script.by_name(None, keys, arguments);
            answer = self.ask_at(shard, Request::Command(&by_name)).await;
        } else if is_a_replica(&answer) {
            // It may be the master again, with other data, before anybody looks.
            server.binding.clear();
        } else if bound.is_none() && answer.is_ok() {
            binding::bind(&server, &self.scripts.bindable());
        }
        if is_unknown(&answer) {
            let in_full = script.in_full(keys, arguments);
            answer = self.ask_at(shard, Request::Command(&in_full)).await;
        }
        self.metrics.redis_call(name, started.elapsed(), answer.is_ok());
        let result: Result<Vec<redis::Value>, Fault> = answer.map_err(|it| it.into_fault(name));
        if let Err(fault) = &result {
            span.fail(if fault.retryable { "away" } else { "refused" });
        }
        result.map(|values| Reply::new(name, values))
    }

    /// Microseconds since the Unix epoch by Redis' clock.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn now_us(&self) -> Result<i64, Fault> {
        let (seconds, micros): (i64, i64) =
            self.ask(self.shown(), "read_redis_clock", &redis::cmd("TIME")).await?;
        Ok(seconds * 1_000_000 + micros)
    }

    /// Connections of the pools for blocking reads: in use, and open.
    pub fn pool_use(&self) -> (usize, usize) {
        let used = self.distinct_servers().into_iter().map(|it| it.blocking.status());
        used.fold((0, 0), |(used, open), it| (used + it.size.saturating_sub(it.available), open + it.size))
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

/// Whether the reply is NOSCRIPT.
fn is_unknown<T>(answer: &Result<T, CallError>) -> bool {
    let unknown = redis::ErrorKind::Server(redis::ServerErrorKind::NoScript);
    matches!(answer, Err(CallError::Failed(error)) if error.kind() == unknown)
}

/// Whether the reply is READONLY: the server is a replica.
fn is_a_replica<T>(answer: &Result<T, CallError>) -> bool {
    matches!(answer, Err(CallError::Failed(error)) if error.code() == Some("READONLY"))
}
