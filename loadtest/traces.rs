//! What tracing costs an award: nodes that trace none, some and all of them, in turns, so that whatever else the machine does
//! meets all of them.

use std::fmt;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use hdrhistogram::Histogram;

use crate::CONNECTIONS;
use crate::cpu::exactly;
use crate::http::Connection;
use crate::phase::{issue, redeem};
use crate::report;
use crate::server::{Server, UNLIMITED};

/// What the part begins with, so that it can be written anew alone.
pub const HEADING: &str = "## Traces";

const RATIOS: [(&str, &str); 3] = [("off", ""), ("1 %", "0.01"), ("all", "1.0")];
const PLAYERS: usize = 1000;
const ROUNDS: usize = 10;
/// Awards a round and node.
const AWARDS: usize = 2000;

struct Traced {
    server: Server,
    logins: Arc<Vec<String>>,
    /// Seconds of CPU for 1,000 awards, round by round: of the node, and of its Redis.
    node: Vec<f64>,
    redis: Vec<f64>,
    times: Histogram<u64>,
    spans: String,
}

/// Everything that was measured.
pub struct Traces(Vec<Traced>);

pub async fn measure() -> Traces {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().route("/v1/traces", post(async |_: Bytes| ()));
    let collector = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let mut all = Vec::new();
    for (_, ratio) in RATIOS {
        let mut settings = UNLIMITED.to_vec();
        if !ratio.is_empty() {
            settings.push(("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint));
            settings.push(("LAUREL_TRACES__SAMPLE_RATIO", ratio));
        }
        let server = Server::start(PLAYERS, &settings);
        let logins = Arc::new(server.logins());
        let times = Histogram::new(3).unwrap();
        all.push(Traced { server, logins, node: Vec::new(), redis: Vec::new(), times, spans: String::new() });
    }
    // The first round warms up.
    for round in 0..=ROUNDS {
        for traced in &mut all {
            traced.round(round > 0).await;
        }
    }
    for traced in &mut all {
        let metrics = Connection::open(&traced.server.address).await.get("/metrics").await;
        let spans = metrics.lines().filter_map(|it| it.strip_prefix("laurel_trace_spans_total"));
        traced.spans = spans.collect::<Vec<_>>().join(", ");
    }
    collector.abort();
    Traces(all)
}

impl Traced {
    async fn round(&mut self, counts: bool) {
        let node = self.server.node.id();
        let (before, tokens) = (exactly(node), issue(&self.server, &self.logins, AWARDS).await);
        let redis = tokens.0.cpu.redis;
        let redeemed = redeem(&self.server, &self.logins, tokens.1).await;
        if counts {
            let per_1000 = 1000.0 / AWARDS as f64;
            self.node.push((exactly(node) - before) * per_1000);
            self.redis.push((redis + redeemed.cpu.redis) * per_1000);
            self.times.add(redeemed.times).unwrap();
        }
    }
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

impl fmt::Display for Traces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADING}\n\n{}\n", report::provenance("make bench-traces"))?;
        writeln!(
            f,
            "Three nodes on stores of their own, in turns: {ROUNDS} rounds of {AWARDS} awards (`init` and `finalize`) over"
        )?;
        writeln!(
            f,
            "{CONNECTIONS} connections. CPU is in seconds for 1,000 awards until the ledger has them: the median round, and the"
        )?;
        writeln!(f, "least. The collector takes everything; what it does is in nobody's column.\n")?;
        writeln!(
            f,
            "| traced | CPU node | least | Redis | p50 ms | p99 ms | spans |\n|---|---|---|---|---|---|---|"
        )?;
        for ((name, _), traced) in RATIOS.iter().zip(&self.0) {
            let ms = |quantile| traced.times.value_at_quantile(quantile) as f64 / 1000.0;
            let least = traced.node.iter().copied().fold(f64::MAX, f64::min);
            let (node, redis) = (median(&traced.node), median(&traced.redis));
            let (p50, p99, spans) = (ms(0.5), ms(0.99), traced.spans.replace('|', "/"));
            writeln!(f, "| {name} | {node:.3} | {least:.3} | {redis:.3} | {p50:.1} | {p99:.1} | {spans} |")?;
        }
        Ok(())
    }
}
