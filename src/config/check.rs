//! Values that have their type but make no sense.

use std::net::SocketAddr;

use ipnet::IpNet;
use reqwest::Url;

use super::tree::{Config, Secret, Traces};
use crate::network;

/// HS256 wants a key at least as long as its hash: RFC 7518, section 3.2.
pub const MIN_SECRET_BYTES: usize = 32;

/// The entry of `server.cors_origins` that stands for every origin.
pub const ANY_ORIGIN: &str = "*";

/// What is wrong with an entry of `server.cors_origins`: it must be as browsers send it (RFC 6454, section 6.2), or it never matches.
fn origin_problem(text: &str) -> Option<String> {
    if text == ANY_ORIGIN {
        return None;
    }
    let url = Url::parse(text).ok().filter(|_| !text.contains(ANY_ORIGIN));
    let right = match url {
        Some(url) if url.origin().is_tuple() => url.origin().ascii_serialization(),
        // Pages inside apps have schemes of their own, such as capacitor://localhost.
        Some(url) if url.has_host() => format!("{}://{}", url.scheme(), url.authority()),
        _ => "https://game.example".to_owned(),
    };
    (text != right).then(|| format!("server.cors_origins: {text:?} is no origin as browsers send it; write {right:?}, or \"*\" for any"))
}

/// Names every impossible value.
pub fn check(config: &Config, problems: &mut Vec<String>) {
    let mut require = |holds: bool, problem: &str| {
        if !holds {
            problems.push(problem.to_owned());
        }
    };
    require(config.server.host.parse::<std::net::IpAddr>().is_ok(), "server.host: must be an IP address");
    require(config.server.port <= 65_535, "server.port: must be between 0 and 65535");
    require(config.server.request_timeout_ms > 0, "server.request_timeout_ms: must be above 0");
    require(config.server.header_timeout_ms > 0, "server.header_timeout_ms: must be above 0");
    require(
        config.server.admin_listen.is_empty() || config.server.admin_listen.parse::<SocketAddr>().is_ok(),
        "server.admin_listen: must be an address with a port, such as 127.0.0.1:9090; leave it empty for none",
    );
    require(config.server.write_timeout_ms > 0, "server.write_timeout_ms: must be above 0");
    if let Err(problem) = networks(&config.server.trusted_proxies) {
        require(false, &format!("server.trusted_proxies: {problem}"));
    }
    for problem in config.server.cors_origins.iter().filter_map(|it| origin_problem(it)) {
        require(false, &problem);
    }
    require((1..=1024).contains(&config.store.shards), "store.shards: must be between 1 and 1024");
    require(
        config.store.shards > 1 || !config.store.redis_url.expose().contains("-cluster://"),
        "store.shards: must be at least 2 on a Redis Cluster, whose keys have to share slots",
    );
    require((1..=64).contains(&config.store.connections), "store.connections: must be between 1 and 64");
    require(config.store.timeout_ms > 0, "store.timeout_ms: must be above 0");
    require(
        (1..config.server.request_timeout_ms).contains(&config.store.wait_timeout_ms),
        "store.wait_timeout_ms: must be above 0 and below server.request_timeout_ms",
    );
    require(config.database.max_connections >= 2, "database.max_connections: must be at least 2");
    require(config.auth.jwt_hours > 0, "auth.jwt_hours: must be above 0");
    require(
        config.auth.audience.len() <= 255 && !config.auth.audience.chars().any(char::is_control),
        "auth.audience: must be at most 255 bytes without control characters",
    );
    require((1..=64).contains(&config.auth.hashes_at_once), "auth.hashes_at_once: must be between 1 and 64");
    require(
        (1..=86_400).contains(&config.tokens.anti_spam_seconds),
        "tokens.anti_spam_seconds: must be between 1 and 86400",
    );
    require(
        (1..=604_800).contains(&config.tokens.session_seconds),
        "tokens.session_seconds: must be between 1 and 604800",
    );
    require(
        config.outbox.token_retention_days <= 36_500,
        "outbox.token_retention_days: must be at most 36500",
    );
    require(
        (1..=2_592_000).contains(&config.tokens.answer_seconds),
        "tokens.answer_seconds: must be between 1 and 2592000",
    );
    require(config.live.ping_seconds > 0, "live.ping_seconds: must be above 0");
    require(config.live.write_timeout_ms > 0, "live.write_timeout_ms: must be above 0");
    require(config.live.max_sockets > 0, "live.max_sockets: must be above 0");
    require(
        (1..=100).contains(&config.live.pending_percent),
        "live.pending_percent: must be between 1 and 100",
    );
    require(config.live.login_timeout_ms > 0, "live.login_timeout_ms: must be above 0");
    require(config.live.handshakes_at_once > 0, "live.handshakes_at_once: must be above 0");
    require(
        (1..config.server.request_timeout_ms).contains(&config.outbox.acknowledge_timeout_ms),
        "outbox.acknowledge_timeout_ms: must be above 0 and below server.request_timeout_ms",
    );
    require(config.outbox.max_entries > 0, "outbox.max_entries: must be above 0");
    require((1..=5000).contains(&config.outbox.batch), "outbox.batch: must be between 1 and 5000");
    require(["text", "json"].contains(&config.log.format.as_str()), "log.format: must be text or json");
    check_traces(&config.traces, &mut require);
    require(
        config.auth.jwt_secret.is_empty() || strong(&config.auth.jwt_secret),
        "auth.jwt_secret: too weak; use 32 random bytes or more, such as `openssl rand -hex 32` prints",
    );
    require(
        config.auth.previous_jwt_secrets.iter().all(strong),
        "auth.previous_jwt_secrets: one of them is too weak; use 32 random bytes or more",
    );
}

fn check_traces(traces: &Traces, require: &mut impl FnMut(bool, &str)) {
    require((0.0..=1.0).contains(&traces.sample_ratio), "traces.sample_ratio: must be between 0.0 and 1.0");
    if traces.endpoint.is_empty() {
        return;
    }
    let url = Url::parse(&traces.endpoint).ok().filter(|it| ["http", "https"].contains(&it.scheme()));
    require(
        url.is_some(),
        "traces.endpoint: must be a URL such as http://localhost:4318; /v1/traces is put behind it",
    );
    let bare = |it: &Url| it.username().is_empty() && it.password().is_none() && it.query().is_none();
    require(
        url.as_ref().is_none_or(bare),
        "traces.endpoint: must have no password and no query; put what the collector wants into OTEL_EXPORTER_OTLP_HEADERS",
    );
    require(
        traces.protocol == "http/protobuf",
        "traces.protocol: must be http/protobuf, which collectors take on port 4318; grpc is not spoken",
    );
}

/// Networks as they stand in the settings: a CIDR, or one address.
///
/// # Errors
/// The first that is neither.
pub fn networks(texts: &[String]) -> Result<Vec<IpNet>, String> {
    texts.iter().map(|text| network::parse(text)).collect()
}

fn strong(secret: &Secret) -> bool {
    let mut bytes = secret.expose().as_bytes().to_vec();
    let long = bytes.len() >= MIN_SECRET_BYTES;
    bytes.sort_unstable();
    bytes.dedup();
    long && bytes.len() >= 8
}
