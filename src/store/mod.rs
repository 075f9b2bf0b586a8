//! Redis: connections, keys, scripts, the board, the outbox and subscriptions. Apart from the embedded server, only this module imports
//! `redis`. It has no HTTP, no SQL, and no rule that is not in a script.

mod board;
mod commands;
mod connection;
mod entries;
#[doc(hidden)]
pub mod internals;
mod keys;
mod outbox;
mod script;
mod shard;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use redis::FromRedisValue;

pub use board::board_shape::{BoardShape, Bucket};
pub use board::entry::{BoardEntry, NotABoardEntry};
pub use board::id::BoardId;
pub use board::load::{AttemptCount, LimitCounts, Load, PointsWon, REMEMBERED_MS, Standing};
pub use board::load_totals::{Members, Total};
pub use board::personal_update::PersonalUpdate;
pub use board::poll::{BoardState, ShardState, TopChange};
pub use commands::admin::{Adjust, AdminRefusal, Restrict, Restrictions, TotalChange};
pub use commands::attempt::{AttemptWindow, Attempts};
pub use commands::issue::{ChallengeSeed, Issue};
pub use commands::judging::{Judging, Reservation};
pub use commands::lease::{QuotaLease, RateLimitKey};
pub use commands::prove::{InitToken, Prove, ProveReply, ProvenFields};
pub use commands::redeem::{IdempotencyKey, NextToken, Redeem};
pub use commands::redeem_reply::{AwardReply, ReceiptData, RedeemReply};
pub use commands::script_refusal::ScriptRefusal;
pub use commands::session::{FinishedSession, Session, Start};
pub use connection::{OutboxReader, Subscription};
pub use entries::PeriodKey;
pub use entries::apply::{Applied, Batch as EntryBatch, Change, EntryChange, EntryRules};
pub use entries::load::EntriesLoad;
pub use entries::order::{EntryOrder, Ranked};
pub use entries::read::{EntriesPage, EntriesQuery, Place, PlacedEntry};
pub use keys::{BAN_MESSAGE, board_channel, entries_channel, personal_channel, trace_channel};
pub use outbox::OLDEST;
pub use outbox::entry::{Entry, EntryKind, UnreadableEntry};
pub use shard::{ShardPosition, shard_of};

use crate::action::ProofResult;
use crate::error::Fault;
use crate::metrics::Metrics;
use crate::traces::{self, Span, SpanKind};
use board::rank::RankBatcher;
use connection::binding;
use connection::redis_error::is_redirect;
use connection::server::{CallError, Request};
use connection::topology::Topology;
use script::SCRIPTS;
use script::declaration::ScriptCall;
use script::reply::Reply;
use shard::Shard;

/// The length of every rate-limit window per minute.
const MINUTE_MS: u64 = 60_000;

/// When a proof is valid, as `read_span` of `lua/lib/proof.lua` reads it.
fn span_text(verdict: &ProofResult) -> String {
    let ((min_age_ms, max_age_ms), (from_ms, until_ms)) = (verdict.age_ms, verdict.valid_ms);
    if ((min_age_ms, max_age_ms), (from_ms, until_ms)) == ((0, 0), (0, 0)) {
        return String::new();
    }
    format!("{min_age_ms} {max_age_ms} {from_ms} {until_ms}")
}

/// Redis, as one node uses it.
pub struct Store {
    shards: Vec<Shard>,
    /// The place of the board that is merged from all shards; none if there is one shard.
    merged: Option<Shard>,
    /// The places of the boards that follow the ledger, by board id. Each board is whole in one slot.
    board_places: Mutex<HashMap<String, Arc<Shard>>>,
    rank_batcher: RankBatcher,
    topology: Topology,
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
        operation: &'static str,
        command: &redis::Cmd,
    ) -> Result<T, Fault> {
        let started = Instant::now();
        let answer = self.ask_at(shard, Request::Command(command)).await;
        self.metrics.redis_command(operation, started.elapsed(), answer.is_ok());
        answer.map_err(|error| error.into_fault(operation))
    }

    /// Sends a pipeline of commands about one shard.
    async fn ask_all<T: FromRedisValue>(
        &self,
        shard: &Shard,
        operation: &'static str,
        pipeline: &redis::Pipeline,
    ) -> Result<T, Fault> {
        let answer = self.ask_at(shard, Request::Pipeline(pipeline)).await;
        answer.map_err(|error| error.into_fault(operation))
    }

    /// Runs one script and records its time under its name.
    async fn run(&self, shard: &Shard, call: &dyn ScriptCall) -> Result<Reply, Fault> {
        self.run_in(script_span(call.script().name), shard, call).await
    }

    /// The same in a span that has started.
    async fn run_in(&self, mut span: Span, shard: &Shard, call: &dyn ScriptCall) -> Result<Reply, Fault> {
        let script = call.script();
        let (started, name) = (Instant::now(), script.name);
        let server = shard.server();
        let bound = server.binding.sha(script);
        let by_sha = script.by_sha(bound.as_deref(), call);
        let mut answer = self.ask_at(shard, Request::Command(&by_sha)).await;
        if bound.is_some() && is_unknown(&answer) {
            server.binding.clear();
            let by_sha = script.by_sha(None, call);
            answer = self.ask_at(shard, Request::Command(&by_sha)).await;
        } else if is_a_replica(&answer) {
            // It may become the master again, with other data, before the next poll.
            server.binding.clear();
        } else if bound.is_none() && answer.is_ok() {
            binding::bind(&server, &SCRIPTS.bindable());
        }
        if is_unknown(&answer) {
            let by_text = script.by_text(call);
            answer = self.ask_at(shard, Request::Command(&by_text)).await;
        }
        self.metrics.redis_call(name, started.elapsed(), answer.is_ok());
        let result = answer.map_err(|error| error.into_fault(name));
        if let Err(fault) = &result {
            fail(&mut span, fault);
        }
        result.map(|reply| Reply::new(name, reply))
    }

    /// Microseconds since the Unix epoch by Redis' clock.
    ///
    /// # Errors
    /// Redis is unavailable.
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

/// The span of a script, with OpenTelemetry's attributes for databases.
fn script_span(name: &'static str) -> Span {
    let mut span = traces::child(SpanKind::Client, || format!("EVALSHA {name}").into());
    span.set("db.system.name", "redis");
    span.set("db.operation.name", "EVALSHA");
    span.set("db.stored_procedure.name", name);
    span
}

fn fail(span: &mut Span, fault: &Fault) {
    span.fail(if fault.retryable { "away" } else { "refused" });
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
