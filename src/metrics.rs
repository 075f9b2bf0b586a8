//! Every metric, declared once with its help text. One registry a node; labels are bounded by the code.

use std::time::{Duration, Instant};

use prometheus::{
    Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder,
};
use tokio::runtime::RuntimeMetrics;

use crate::error::Code;

/// Seconds: 100 µs to 10 s.
const LATENCY_BUCKETS: [f64; 13] =
    [0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0];

/// Seconds: 500 µs to 5 s. Few buckets, because every store operation has all of them.
const STORE_BUCKETS: [f64; 8] = [0.0005, 0.001, 0.0025, 0.01, 0.05, 0.25, 1.0, 5.0];

macro_rules! metrics {
    ($($(#[doc = $help:literal])+ $field:ident: $kind:tt $(($($label:literal),+))? = $name:literal;)+) => {
        /// The metrics of a node.
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
    (@type gauge_seconds) => { Gauge };
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
    (@new gauge_seconds, $name:literal, $help:expr) => { Gauge::new($name, $help) };
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
    /// 1; the label has the version of this node.
    build: gauge("version") = "laurel_build_info";
    /// Whether the store answers this node (1) or not (0), by store: redis, postgres.
    store_up: gauge("store") = "laurel_store_up";
    /// Logins with a password, by result: ok, or the error code.
    logins: counter("result") = "laurel_logins_total";
    /// Registrations, by result: ok, or the error code.
    registrations: counter("result") = "laurel_registrations_total";
    /// Awards, by action type.
    awards: counter("action") = "laurel_awards_total";
    /// Refused requests, by error code.
    refusals: counter("code") = "laurel_refusals_total";
    /// Requests refused by a rate limit before they were processed, by scope: address, site (an IPv6 /48), user, attempt.
    rate_limited: counter("scope") = "laurel_rate_limited_total";
    /// Verified proofs, by kind and result: valid, invalid. Both spend the token.
    proofs: counter("kind", "result") = "laurel_proofs_total";
    /// Abuse signals, by kind.
    abuse_signals: counter("signal") = "laurel_abuse_signals_total";
    /// Proofs for a webhook, by result: answered, refused (the request), failed, busy (too many requests at once), open (circuit open), open_for_user (circuit open for one player).
    webhook_calls: counter("result") = "laurel_webhook_calls_total";
    /// Seconds to answer an HTTP request, by method, route and status.
    http_seconds: seconds("method", "route", "status") = "laurel_http_request_duration_seconds";
    /// Seconds of a Redis script call, by script and result: ok, error.
    redis_seconds: store_seconds("script", "result") = "laurel_redis_script_duration_seconds";
    /// Seconds of a Redis command that is not a script, by operation and result: ok, error. Background commands that nothing waits for are not included.
    redis_command_seconds: store_seconds("operation", "result") = "laurel_redis_command_duration_seconds";
    /// Seconds of a Postgres call including the wait for a connection, by operation and result: ok, error. Canceled calls count as errors.
    postgres_seconds: store_seconds("operation", "result") = "laurel_postgres_call_duration_seconds";
    /// Connected subscribers, by protocol: websocket, socketio, events (server-sent events).
    sockets: gauge("protocol") = "laurel_sockets";
    /// Subscriptions of connected subscribers to a board by its name, by board.
    board_subscribers: gauge("board") = "laurel_board_subscribers";
    /// Accepted subscribers, by protocol.
    sockets_opened: counter("protocol") = "laurel_sockets_opened_total";
    /// Refused subscribers, by reason: closed (the node starts or drains), busy (too many handshakes), full (limit of the node), limit (of the user or the address).
    subscribers_refused: counter("reason") = "laurel_subscribers_refused_total";
    /// Sockets closed by the node, by close code.
    sockets_closed: counter("code") = "laurel_sockets_closed_total";
    /// Open TCP connections, by listener: public, admin.
    connections: gauge("listener") = "laurel_connections";
    /// Refused TCP connections, by reason: full (limit of the node, and no connection is idle), network (limit of one client network).
    connections_refused: counter("reason") = "laurel_connections_refused_total";
    /// TCP connections closed by the node, by reason: idle (replaced by a new connection), slow (the client read a response too slowly).
    connections_closed: counter("reason") = "laurel_connections_closed_total";
    /// Board updates skipped for slow subscribers because a newer one was available.
    board_updates_skipped: counter = "laurel_board_updates_skipped_total";
    /// Seconds from a board's arrival at this node to the last socket write of a fan-out worker.
    fanout_seconds: seconds = "laurel_fanout_duration_seconds";
    /// Seconds from a top-list change in Redis to its arrival at this node.
    board_lag_seconds: seconds = "laurel_board_lag_seconds";
    /// Seconds from a top-list change in Redis to the last socket write of a fan-out worker.
    delivery_lag_seconds: seconds = "laurel_delivery_lag_seconds";
    /// Outbox entries that are not yet in Postgres.
    outbox_entries: gauge = "laurel_outbox_entries";
    /// Entries that could not be written to the ledger and wait for an operator. Current on the leader only.
    dead_letters_waiting: gauge = "laurel_dead_letters_waiting";
    /// Ledger entries that are not yet in the rollups of the admin console.
    rollup_behind: gauge = "laurel_rollup_behind_entries";
    /// Whether Redis has a maxmemory-policy that evicts keys (1), checked once a minute.
    redis_evicts: gauge = "laurel_redis_evicts";
    /// Whether Redis refuses writes because of its state (1), such as full memory; checked with every poll.
    redis_refuses_writes: gauge = "laurel_redis_refuses_writes";
    /// Whether this node is the ledger leader (1).
    ledger_leader: gauge = "laurel_ledger_leader";
    /// Times that this node loaded the board from the ledger.
    rebuilds: counter = "laurel_board_rebuilds_total";
    /// Mismatches between Redis and the ledger found by the last consistency check.
    ledger_mismatches: gauge = "laurel_ledger_mismatches";
    /// Users compared by the consistency check.
    ledger_checked_users: counter = "laurel_ledger_checked_users_total";
    /// Ledger entries written by this node.
    ledger_entries: counter = "laurel_ledger_entries_total";
    /// Seconds to write a batch to the ledger.
    ledger_batch_seconds: seconds = "laurel_ledger_batch_duration_seconds";
    /// Age in seconds of the oldest entry of a batch when the batch is committed.
    ledger_lag_seconds: seconds = "laurel_ledger_lag_seconds";
    /// Seconds since the moment until which all boards that follow the ledger are complete. Current on the leader only.
    boards_lag_seconds: gauge_seconds = "laurel_boards_lag_seconds";
    /// Ledger entries that this node applied to the boards.
    boards_applied: counter = "laurel_boards_applied_total";
    /// Periods of boards that this node loaded from the ledger, by board.
    board_loads: counter("board") = "laurel_board_loads_total";
    /// Players on a board in its current period, by board. Current on the leader only.
    board_entries: gauge("board") = "laurel_board_entries";
    /// Seconds by which the close of a period is late, by board; 0 if none is. Current on the leader only.
    board_close_overdue_seconds: gauge("board") = "laurel_board_close_overdue_seconds";
    /// Connections in use, by pool: redis (blocking commands), postgres.
    pool_in_use: gauge("pool") = "laurel_pool_connections_in_use";
    /// Open connections, by pool: redis (blocking commands), postgres.
    pool_open: gauge("pool") = "laurel_pool_connections_open";
    /// Trace spans, by result: sent, failed (not accepted by the collector), dropped (queue full).
    trace_spans: counter("result") = "laurel_trace_spans_total";
    /// Worker threads of the async runtime.
    runtime_workers: gauge = "laurel_runtime_workers";
    /// Running tasks of the async runtime.
    runtime_tasks: gauge = "laurel_runtime_tasks";
    /// Tasks that are ready and wait for a worker thread.
    runtime_waiting: gauge = "laurel_runtime_waiting_tasks";
}

impl Metrics {
    /// Sets which stores are up.
    pub fn stores(&self, (redis, postgres): (bool, bool)) {
        for (store, answers) in [("redis", redis), ("postgres", postgres)] {
            self.store_up.with_label_values(&[store]).set(answers.into());
        }
    }

    /// Counts a login, with its error if it was refused.
    pub fn login(&self, error: Option<Code>) {
        self.logins.with_label_values(&[&result(error)]).inc();
    }

    /// Counts a registration, with its error if it was refused.
    pub fn registration(&self, error: Option<Code>) {
        self.registrations.with_label_values(&[&result(error)]).inc();
    }

    /// Counts an award.
    pub fn award(&self, action: &str) {
        self.awards.with_label_values(&[action]).inc();
    }

    /// Counts a refused request.
    pub fn refusal(&self, code: Code) {
        self.refusals.with_label_values(&[code.as_str()]).inc();
    }

    /// Counts a verified proof.
    pub fn proof(&self, kind: &str, is_valid: bool) {
        self.proofs.with_label_values(&[kind, if is_valid { "valid" } else { "invalid" }]).inc();
    }

    /// Records an HTTP request.
    pub fn http(&self, method: &str, route: &str, status: &str, took: Duration) {
        let labels = [method, route, status];
        self.http_seconds.with_label_values(&labels).observe(took.as_secs_f64());
    }

    /// Records a script call.
    pub fn redis_call(&self, script: &str, took: Duration, answered: bool) {
        let labels = [script, if answered { "ok" } else { "error" }];
        self.redis_seconds.with_label_values(&labels).observe(took.as_secs_f64());
    }

    /// Changes the number of connected subscribers.
    pub fn sockets(&self, protocol: &str, by: i64) {
        self.sockets.with_label_values(&[protocol]).add(by);
    }

    /// Records a Redis command that is not a script.
    pub fn redis_command(&self, operation: &str, took: Duration, answered: bool) {
        let labels = [operation, if answered { "ok" } else { "error" }];
        self.redis_command_seconds.with_label_values(&labels).observe(took.as_secs_f64());
    }

    /// Starts the timer of a Postgres call.
    pub fn postgres(&self, operation: &'static str) -> PostgresCall<'_> {
        PostgresCall::begin(self, operation)
    }

    /// Counts an accepted subscriber.
    pub fn socket_opened(&self, protocol: &str) {
        self.sockets_opened.with_label_values(&[protocol]).inc();
    }

    /// Counts a refused subscriber.
    pub fn socket_refused(&self, reason: &str) {
        self.subscribers_refused.with_label_values(&[reason]).inc();
    }

    /// Counts a socket that this node closed.
    pub fn socket_closed(&self, code: u16) {
        self.sockets_closed.with_label_values(&[&code.to_string()]).inc();
    }

    /// Records a board's arrival. The lag is at least 0: the clocks of Redis and the node may differ.
    pub fn board_lag(&self, lag_ms: i64) {
        self.board_lag_seconds.observe(lag_ms.max(0) as f64 / 1000.0);
    }

    /// Records that a fan-out worker delivered a board. The clocks are those of `board_lag`.
    pub fn delivery_lag(&self, lag_ms: i64) {
        self.delivery_lag_seconds.observe(lag_ms.max(0) as f64 / 1000.0);
    }

    /// Records a batch written to the ledger.
    pub fn ledger_batch(&self, entries: usize, took: Duration) {
        self.ledger_entries.inc_by(entries as u64);
        self.ledger_batch_seconds.observe(took.as_secs_f64());
    }

    /// Records the age of the oldest entry of a batch.
    pub fn ledger_lag(&self, lag: Duration) {
        self.ledger_lag_seconds.observe(lag.as_secs_f64());
    }

    /// Sets the connections in use and open of the Redis pool for blocking commands and of the Postgres pool.
    pub fn pools(&self, redis: (usize, usize), postgres: (usize, usize)) {
        for (pool, (in_use, open)) in [("redis", redis), ("postgres", postgres)] {
            self.pool_in_use.with_label_values(&[pool]).set(in_use as i64);
            self.pool_open.with_label_values(&[pool]).set(open as i64);
        }
    }

    /// Sets the metrics of the async runtime.
    pub fn runtime(&self, runtime: &RuntimeMetrics) {
        self.runtime_workers.set(runtime.num_workers() as i64);
        self.runtime_tasks.set(runtime.num_alive_tasks() as i64);
        self.runtime_waiting.set(runtime.global_queue_depth() as i64);
    }

    /// The metrics in Prometheus text format.
    pub fn text(&self) -> String {
        TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap_or_default()
    }
}

fn result(error: Option<Code>) -> String {
    error.map_or("ok".to_owned(), |code| code.as_str().to_ascii_lowercase())
}

/// Timer of a running Postgres call. The duration is recorded on drop, so canceled calls are included, as errors.
pub struct PostgresCall<'a> {
    metrics: &'a Metrics,
    operation: &'static str,
    began: Instant,
    answered: bool,
}

impl<'a> PostgresCall<'a> {
    fn begin(metrics: &'a Metrics, operation: &'static str) -> Self {
        Self { metrics, operation, began: Instant::now(), answered: false }
    }

    /// Marks the call as answered, with a result or an error of Postgres.
    pub fn answered(mut self) {
        self.answered = true;
    }
}

impl Drop for PostgresCall<'_> {
    fn drop(&mut self) {
        let labels = [self.operation, if self.answered { "ok" } else { "error" }];
        let took = self.began.elapsed();
        self.metrics.postgres_seconds.with_label_values(&labels).observe(took.as_secs_f64());
    }
}
