//! Every metric, declared once with its help text. One registry a node; labels are bounded by the code.

mod postgres_call;

use std::time::Duration;

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};
use tokio::runtime::RuntimeMetrics;

pub use postgres_call::PostgresCall;

use crate::error::Code;
use crate::suspicion::Sign;

/// 100 µs to 10 s.
const LATENCY_BUCKETS: [f64; 13] =
    [0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0];

/// 500 µs to 5 s: fewer, since each operation at a store has them all.
const STORE_BUCKETS: [f64; 8] = [0.0005, 0.001, 0.0025, 0.01, 0.05, 0.25, 1.0, 5.0];

macro_rules! metrics {
    ($($(#[doc = $help:literal])+ $field:ident: $kind:tt $(($($label:literal),+))? = $name:literal;)+) => {
        /// A node's metrics.
        pub struct Metrics {
            registry: Registry,
            $($(#[doc = $help])+ pub $field: metrics!(@type $kind $(($($label),+))?),)+
        }

        impl Default for Metrics {
            fn default() -> Self {
                let registry = Registry::new();
                $(let $field = {
                    let help = concat!($($help),+).trim();
                    let metric = metrics!(@new $kind $(($($label),+))?, $name, help).expect("a fixed name and labels");
                    registry.register(Box::new(metric.clone())).expect("names are unique");
                    metric
                };)+
                #[cfg(target_os = "linux")]
                registry
                    .register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))
                    .expect("registered once");
                let metrics = Self { registry, $($field),+ };
                metrics.build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
                metrics
            }
        }
    };
    (@type counter ($($label:literal),+)) => { IntCounterVec };
    (@type counter) => { IntCounter };
    (@type gauge ($($label:literal),+)) => { IntGaugeVec };
    (@type gauge) => { IntGauge };
    (@type seconds ($($label:literal),+)) => { HistogramVec };
    (@type store_seconds ($($label:literal),+)) => { HistogramVec };
    (@type seconds) => { Histogram };
    (@new counter ($($label:literal),+), $name:literal, $help:expr) => {
        IntCounterVec::new(Opts::new($name, $help), &[$($label),+])
    };
    (@new counter, $name:literal, $help:expr) => { IntCounter::new($name, $help) };
    (@new gauge ($($label:literal),+), $name:literal, $help:expr) => {
        IntGaugeVec::new(Opts::new($name, $help), &[$($label),+])
    };
    (@new gauge, $name:literal, $help:expr) => { IntGauge::new($name, $help) };
    (@new seconds ($($label:literal),+), $name:literal, $help:expr) => {
        HistogramVec::new(HistogramOpts::new($name, $help).buckets(LATENCY_BUCKETS.to_vec()), &[$($label),+])
    };
    (@new store_seconds ($($label:literal),+), $name:literal, $help:expr) => {
        HistogramVec::new(HistogramOpts::new($name, $help).buckets(STORE_BUCKETS.to_vec()), &[$($label),+])
    };
    (@new seconds, $name:literal, $help:expr) => {
        Histogram::with_opts(HistogramOpts::new($name, $help).buckets(LATENCY_BUCKETS.to_vec()))
    };
}

metrics! {
    /// 1, with the version of this node.
    build: gauge("version") = "laurel_build_info";
    /// 1 while a store answers this node, by store: redis, postgres.
    store_up: gauge("store") = "laurel_store_up";
    /// Logins with a password, by result: ok, or the error's code.
    logins: counter("result") = "laurel_logins_total";
    /// Registrations, by result: ok, or the error's code.
    registrations: counter("result") = "laurel_registrations_total";
    /// Awards made, by action type.
    awards: counter("action") = "laurel_awards_total";
    /// Refusals, by error code.
    refusals: counter("code") = "laurel_refusals_total";
    /// Requests refused without asking what they wanted, by the limit: address, site (of IPv6), user, attempt.
    rate_limited: counter("scope") = "laurel_rate_limited_total";
    /// Proofs that were judged and whose token is spent, by kind and result: holds, fails.
    proofs: counter("kind", "result") = "laurel_proofs_total";
    /// What looks like cheating, by sign.
    suspicions: counter("signal") = "laurel_abuse_signals_total";
    /// Proofs that a webhook was to judge, by result: answered, refused (the question), failed, busy (no place to ask), open (not asked, for anybody), open_for_user (not asked, for one player).
    webhook_calls: counter("result") = "laurel_webhook_calls_total";
    /// Time to answer a request, by method, route and status.
    http_seconds: seconds("method", "route", "status") = "laurel_http_request_duration_seconds";
    /// Time of a Redis script, by script and result: ok, error.
    redis_seconds: store_seconds("script", "result") = "laurel_redis_script_duration_seconds";
    /// Time of a Redis command outside the scripts that a caller waits for, by what it is for and result: ok, error.
    redis_command_seconds: store_seconds("operation", "result") = "laurel_redis_command_duration_seconds";
    /// Time of a call to Postgres, the wait for a connection included, by what it is for and result: ok, error (also what nobody waited for to its end).
    postgres_seconds: store_seconds("operation", "result") = "laurel_postgres_call_duration_seconds";
    /// Listeners, by protocol: websocket, socketio, events (server-sent ones).
    sockets: gauge("protocol") = "laurel_sockets";
    /// Listeners that were taken in, by protocol.
    sockets_opened: counter("protocol") = "laurel_sockets_opened_total";
    /// Listeners that were not taken in, by reason: closed (the node starts or drains), busy (too many handshakes at once), full (the node), limit (of the user or the address).
    sockets_refused: counter("reason") = "laurel_sockets_refused_total";
    /// Sockets closed by the node, by close code.
    sockets_closed: counter("code") = "laurel_sockets_closed_total";
    /// Open TCP connections, by listener: public, admin.
    connections: gauge("listener") = "laurel_connections";
    /// TCP connections that were not accepted, by limit: full (of the node, with no idle connection to close), network (of one client network).
    connections_refused: counter("reason") = "laurel_connections_refused_total";
    /// TCP connections closed by the node, by reason: idle (a new one needed its place), slow (a response was read too slowly).
    connections_closed: counter("reason") = "laurel_connections_closed_total";
    /// Boards that a listener was not told because the next one came before it took the last, or before its turn.
    board_updates_skipped: counter = "laurel_board_updates_skipped_total";
    /// Time from a board's arrival at this node until its last listener on a core was written to.
    fanout_seconds: seconds = "laurel_fanout_duration_seconds";
    /// Time from a change of the ten in Redis to its arrival at this node.
    board_lag_seconds: seconds = "laurel_board_lag_seconds";
    /// Time from a change of the ten in Redis until the last listener on a core was written to.
    delivery_lag_seconds: seconds = "laurel_delivery_lag_seconds";
    /// Entries of the outbox that Postgres does not have yet.
    outbox_entries: gauge = "laurel_outbox_entries";
    /// Entries that could not be written to the ledger and wait for an operator, as the leader counted them last.
    dead_letters_waiting: gauge = "laurel_dead_letters_waiting";
    /// Entries of the ledger that are not in the sums for operators yet.
    rollup_behind: gauge = "laurel_rollup_behind_entries";
    /// 1 while Redis has a maxmemory-policy that may drop keys, as this node found it within the last minute.
    redis_evicts: gauge = "laurel_redis_evicts";
    /// 1 while this node has the ledger's lead.
    ledger_leader: gauge = "laurel_ledger_leader";
    /// Times that this node loaded the board from the ledger.
    rebuilds: counter = "laurel_board_rebuilds_total";
    /// Users and places among whom the light check found Redis and the ledger at odds, the last time.
    ledger_mismatches: gauge = "laurel_ledger_mismatches";
    /// Users whom the light check has compared.
    ledger_checked_users: counter = "laurel_ledger_checked_users_total";
    /// Entries written to the ledger by this node.
    ledger_entries: counter = "laurel_ledger_entries_total";
    /// Time to write a batch to the ledger.
    ledger_batch_seconds: seconds = "laurel_ledger_batch_duration_seconds";
    /// Age of the oldest entry of a batch when it is committed.
    ledger_lag_seconds: seconds = "laurel_ledger_lag_seconds";
    /// Connections in use, by pool.
    pool_in_use: gauge("pool") = "laurel_pool_connections_in_use";
    /// Connections open, by pool.
    pool_open: gauge("pool") = "laurel_pool_connections_open";
    /// Spans of traces, by result: sent, failed (the collector did not take them), dropped (too many waited).
    trace_spans: counter("result") = "laurel_trace_spans_total";
    /// Threads that run the node's tasks.
    runtime_workers: gauge = "laurel_runtime_workers";
    /// Tasks that are not done.
    runtime_tasks: gauge = "laurel_runtime_tasks";
    /// Tasks that are ready and wait for a thread.
    runtime_waiting: gauge = "laurel_runtime_waiting_tasks";
}

impl Metrics {
    /// Which stores answer.
    pub fn stores(&self, (redis, postgres): (bool, bool)) {
        for (store, answers) in [("redis", redis), ("postgres", postgres)] {
            self.store_up.with_label_values(&[store]).set(answers.into());
        }
    }

    /// One login, by its error if it was refused.
    pub fn login(&self, error: Option<Code>) {
        self.logins.with_label_values(&[&result(error)]).inc();
    }

    /// One registration.
    pub fn registration(&self, error: Option<Code>) {
        self.registrations.with_label_values(&[&result(error)]).inc();
    }

    /// One award.
    pub fn award(&self, action: &str) {
        self.awards.with_label_values(&[action]).inc();
    }

    /// One refusal.
    pub fn refusal(&self, code: Code) {
        self.refusals.with_label_values(&[code.as_str()]).inc();
    }

    /// One proof.
    pub fn proof(&self, kind: &str, holds: bool) {
        self.proofs.with_label_values(&[kind, if holds { "holds" } else { "fails" }]).inc();
    }

    /// One sign of cheating.
    pub fn suspicion(&self, sign: Sign) {
        self.suspicions.with_label_values(&[sign.as_str()]).inc();
    }

    /// One request.
    pub fn http(&self, method: &str, route: &str, status: &str, took: Duration) {
        let labels = [method, route, status];
        self.http_seconds.with_label_values(&labels).observe(took.as_secs_f64());
    }

    /// One script.
    pub fn redis_call(&self, script: &str, took: Duration, answered: bool) {
        let labels = [script, if answered { "ok" } else { "error" }];
        self.redis_seconds.with_label_values(&labels).observe(took.as_secs_f64());
    }

    /// Listeners that came or went.
    pub fn sockets(&self, protocol: &str, by: i64) {
        self.sockets.with_label_values(&[protocol]).add(by);
    }

    /// A Redis command that is no script.
    pub fn redis_command(&self, operation: &str, took: Duration, answered: bool) {
        let labels = [operation, if answered { "ok" } else { "error" }];
        self.redis_command_seconds.with_label_values(&labels).observe(took.as_secs_f64());
    }

    /// A call to Postgres begins.
    pub fn postgres(&self, operation: &'static str) -> PostgresCall<'_> {
        PostgresCall::begin(self, operation)
    }

    /// One listener that was taken in.
    pub fn socket_opened(&self, protocol: &str) {
        self.sockets_opened.with_label_values(&[protocol]).inc();
    }

    /// One listener that was not taken in.
    pub fn socket_refused(&self, reason: &str) {
        self.sockets_refused.with_label_values(&[reason]).inc();
    }

    /// One socket closed by us.
    pub fn socket_closed(&self, code: u16) {
        self.sockets_closed.with_label_values(&[&code.to_string()]).inc();
    }

    /// One board that arrived; Redis' clock and ours may differ, so it is never below 0.
    pub fn board_lag(&self, lag_ms: i64) {
        self.board_lag_seconds.observe(lag_ms.max(0) as f64 / 1000.0);
    }

    /// One board that all listeners of a core were told of; the clocks are as with `board_lag`.
    pub fn delivery_lag(&self, lag_ms: i64) {
        self.delivery_lag_seconds.observe(lag_ms.max(0) as f64 / 1000.0);
    }

    /// One batch of the ledger.
    pub fn ledger_batch(&self, entries: usize, took: Duration) {
        self.ledger_entries.inc_by(entries as u64);
        self.ledger_batch_seconds.observe(took.as_secs_f64());
    }

    /// How far the ledger is behind.
    pub fn ledger_lag(&self, lag: Duration) {
        self.ledger_lag_seconds.observe(lag.as_secs_f64());
    }

    /// Connections in use and open, of Redis' blocking pool and of Postgres' pool.
    pub fn pools(&self, redis: (usize, usize), postgres: (usize, usize)) {
        for (pool, (in_use, open)) in [("redis", redis), ("postgres", postgres)] {
            self.pool_in_use.with_label_values(&[pool]).set(in_use as i64);
            self.pool_open.with_label_values(&[pool]).set(open as i64);
        }
    }

    /// How busy tokio is.
    pub fn runtime(&self, runtime: &RuntimeMetrics) {
        self.runtime_workers.set(runtime.num_workers() as i64);
        self.runtime_tasks.set(runtime.num_alive_tasks() as i64);
        self.runtime_waiting.set(runtime.global_queue_depth() as i64);
    }

    /// Prometheus' text format.
    pub fn text(&self) -> String {
        TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap_or_default()
    }
}

fn result(error: Option<Code>) -> String {
    error.map_or("ok".to_owned(), |code| code.as_str().to_ascii_lowercase())
}
