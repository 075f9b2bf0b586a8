//! Checks that values are in range and consistent with each other.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use reqwest::Url;

use super::tree::{Config, Secret, Traces};
use super::urls::{RedisUrl, check_postgres};
use crate::network;

/// HS256 requires a key at least as long as its hash (RFC 7518, section 3.2).
pub const MIN_SECRET_BYTES: usize = 32;

/// The entry of `server.cors_origins` that stands for every origin.
pub const ANY_ORIGIN: &str = "*";

/// The problem of an entry of `server.cors_origins`. An entry that is not written as browsers send it (RFC 6454, section 6.2) would
/// never match.
fn origin_problem(text: &str) -> Option<String> {
    if text == ANY_ORIGIN {
        return None;
    }
    let url = Url::parse(text).ok().filter(|_| !text.contains(ANY_ORIGIN));
    let right = match url {
        Some(url) if url.origin().is_tuple() => url.origin().ascii_serialization(),
        // Pages inside apps have custom schemes, such as capacitor://localhost.
        Some(url) if url.has_host() => format!("{}://{}", url.scheme(), url.authority()),
        _ => "https://game.example".to_owned(),
    };
    (text != right).then(|| format!("server.cors_origins: {text:?} is not an origin as browsers send it; use {right:?}, or \"*\" for any"))
}

/// Whether a text is an IP address or a host name (RFC 1123, and underscores, which some networks use).
fn is_host(text: &str) -> bool {
    let is_label =
        |it: &str| !it.is_empty() && it.bytes().all(|it| it.is_ascii_alphanumeric() || b"-_".contains(&it));
    text.parse::<IpAddr>().is_ok() || (text.len() <= 253 && text.split('.').all(is_label))
}

/// Whether a text is an IP address or a host name with a port.
fn is_host_with_port(text: &str) -> bool {
    let is_named =
        |(host, port): (&str, &str)| !host.contains(':') && is_host(host) && port.parse::<u16>().is_ok();
    text.parse::<SocketAddr>().is_ok() || text.rsplit_once(':').is_some_and(is_named)
}

/// Adds a problem for every invalid value.
pub fn check(config: &Config, problems: &mut Vec<String>) {
    let mut require = |holds: bool, problem: &str| {
        if !holds {
            problems.push(problem.to_owned());
        }
    };
    require(
        is_host(&config.server.host),
        "server.host: must be an IP address or a host name without a port; use 0.0.0.0 for all addresses",
    );
    require(config.server.port <= 65_535, "server.port: must be between 0 and 65535");
    require(config.server.request_timeout_ms > 0, "server.request_timeout_ms: must be above 0");
    require(config.server.header_timeout_ms > 0, "server.header_timeout_ms: must be above 0");
    require(
        config.server.admin_listen.is_empty() || is_host_with_port(&config.server.admin_listen),
        "server.admin_listen: must be an address or a host name with a port, such as 127.0.0.1:9090, or empty for none",
    );
    require(config.server.write_timeout_ms > 0, "server.write_timeout_ms: must be above 0");
    if let Err(problem) = networks(&config.server.trusted_proxies) {
        require(false, &format!("server.trusted_proxies: {problem}"));
    }
    for problem in config.server.cors_origins.iter().filter_map(|origin| origin_problem(origin)) {
        require(false, &problem);
    }
    require((1..=1024).contains(&config.redis.shards), "redis.shards: must be between 1 and 1024");
    require(
        config.redis.shards > 1 || !config.redis.url.expose().contains("-cluster://"),
        "redis.shards: must be at least 2 on a Redis Cluster, because the keys of a user must share a slot",
    );
    let redis = &config.redis;
    let redis_url = (!redis.url.is_empty()).then(|| RedisUrl::parse(redis.url.expose()));
    if let Some(Err(problem)) = &redis_url {
        require(false, &format!("redis.url: {problem}"));
    }
    require(
        redis.sentinel_password.is_empty() || matches!(redis_url, Some(Ok(RedisUrl::Sentinels { .. }))),
        "redis.sentinel_password: needs Sentinels; set redis.url to redis-sentinel://host:26379/0#master",
    );
    require(
        redis.sentinel_username.is_empty() || !redis.sentinel_password.is_empty(),
        "redis.sentinel_username: needs redis.sentinel_password",
    );
    let postgres_url = config.postgres.url.expose();
    if let Some(problem) = check_postgres(postgres_url).err().filter(|_| !postgres_url.is_empty()) {
        require(false, &format!("postgres.url: {problem}"));
    }
    require((1..=64).contains(&config.redis.connections), "redis.connections: must be between 1 and 64");
    require(config.redis.timeout_ms > 0, "redis.timeout_ms: must be above 0");
    require(
        (1..config.server.request_timeout_ms).contains(&config.redis.wait_timeout_ms),
        "redis.wait_timeout_ms: must be above 0 and below server.request_timeout_ms",
    );
    require(config.postgres.max_connections >= 2, "postgres.max_connections: must be at least 2");
    require(config.auth.jwt_hours > 0, "auth.jwt_hours: must be above 0");
    require(
        config.auth.audience.len() <= 255 && !config.auth.audience.chars().any(char::is_control),
        "auth.audience: must be at most 255 bytes without control characters",
    );
    require(
        (1..=64).contains(&config.auth.max_concurrent_hashes),
        "auth.max_concurrent_hashes: must be between 1 and 64",
    );
    require(
        (1..=86_400).contains(&config.tokens.anti_spam_seconds),
        "tokens.anti_spam_seconds: must be between 1 and 86400",
    );
    require(
        (1..=604_800).contains(&config.tokens.session_seconds),
        "tokens.session_seconds: must be between 1 and 604800",
    );
    require(config.abuse.retention_days <= 36_500, "abuse.retention_days: must be at most 36500");
    require(
        (1..=2_592_000).contains(&config.tokens.answer_seconds),
        "tokens.answer_seconds: must be between 1 and 2592000",
    );
    require(config.live.board_publish_interval_ms > 0, "live.board_publish_interval_ms: must be above 0");
    require(config.live.ping_seconds > 0, "live.ping_seconds: must be above 0");
    require(config.live.write_timeout_ms > 0, "live.write_timeout_ms: must be above 0");
    require(config.live.max_sockets > 0, "live.max_sockets: must be above 0");
    require(
        (1..=100).contains(&config.live.pending_percent),
        "live.pending_percent: must be between 1 and 100",
    );
    require(config.live.login_timeout_ms > 0, "live.login_timeout_ms: must be above 0");
    require(config.live.max_concurrent_handshakes > 0, "live.max_concurrent_handshakes: must be above 0");
    require(
        (1..config.server.request_timeout_ms).contains(&config.outbox.acknowledge_timeout_ms),
        "outbox.acknowledge_timeout_ms: must be above 0 and below server.request_timeout_ms",
    );
    require(config.outbox.max_entries > 0, "outbox.max_entries: must be above 0");
    require((1..=5000).contains(&config.outbox.batch), "outbox.batch: must be between 1 and 5000");
    require(["text", "json"].contains(&config.log.format.as_str()), "log.format: must be text or json");
    check_traces(&config.traces, &mut require);
    require(
        config.auth.jwt_secret.is_empty() || is_strong(&config.auth.jwt_secret),
        "auth.jwt_secret: too weak; use at least 32 random bytes, such as the output of `openssl rand -hex 32`",
    );
    require(
        config.auth.previous_jwt_secrets.iter().all(is_strong),
        "auth.previous_jwt_secrets: one of them is too weak; use at least 32 random bytes",
    );
}

fn check_traces(traces: &Traces, require: &mut impl FnMut(bool, &str)) {
    require((0.0..=1.0).contains(&traces.sample_ratio), "traces.sample_ratio: must be between 0.0 and 1.0");
    if traces.endpoint.is_empty() {
        return;
    }
    let url = Url::parse(&traces.endpoint).ok().filter(|url| ["http", "https"].contains(&url.scheme()));
    require(
        url.is_some(),
        "traces.endpoint: must be a URL such as http://localhost:4318; /v1/traces is appended",
    );
    let bare = |it: &Url| it.username().is_empty() && it.password().is_none() && it.query().is_none();
    require(
        url.as_ref().is_none_or(bare),
        "traces.endpoint: must have no password and no query; put credentials into OTEL_EXPORTER_OTLP_HEADERS",
    );
    require(
        traces.protocol == "http/protobuf",
        "traces.protocol: must be http/protobuf, which collectors accept on port 4318; grpc is not supported",
    );
}

/// Parses networks: a CIDR or a single address each.
///
/// # Errors
/// The first entry that is neither.
pub fn networks(texts: &[String]) -> Result<Vec<IpNet>, String> {
    texts.iter().map(|text| network::parse(text)).collect()
}

fn is_strong(secret: &Secret) -> bool {
    let mut bytes = secret.expose().as_bytes().to_vec();
    let is_long = bytes.len() >= MIN_SECRET_BYTES;
    bytes.sort_unstable();
    bytes.dedup();
    is_long && bytes.len() >= 8
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load;

    #[test]
    fn hosts_are_checked_with_and_without_a_port() {
        for host in ["localhost", "laurel-a.internal", "node_1", "::1", "0.0.0.0", "192.0.2.1", "a"] {
            assert!(is_host(host), "{host}");
            let with_port =
                if host.contains(':') { format!("[{host}]:9090") } else { format!("{host}:9090") };
            assert!(is_host_with_port(&with_port), "{with_port}");
        }
        for host in ["", "localhost:3000", "http://localhost", "[::1]", "a..b", "*", "a b", "::1:9090x"] {
            assert!(!is_host(host), "{host}");
        }
        for text in
            ["localhost", ":9090", "::1:9090", "localhost:", "localhost:70000", "localhost:http", "[::1]"]
        {
            assert!(!is_host_with_port(text), "{text}");
        }
    }

    #[test]
    fn sentinel_logins_need_sentinels() {
        let with = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter().map(|(name, value)| ((*name).into(), (*value).into()));
            load(pairs).map(drop).map_err(|it| it.problems)
        };
        let sentinels = ("REDIS_URL", "redis-sentinel://a:26379#laurel");
        let (user, password) =
            (("LAUREL_REDIS__SENTINEL_USERNAME", "u"), ("LAUREL_REDIS__SENTINEL_PASSWORD", "secret"));
        assert!(with(&[sentinels, user, password]).is_ok() && with(&[sentinels, password]).is_ok());
        for (settings, hint) in [
            (vec![password], "redis.sentinel_password: needs Sentinels"),
            (vec![("REDIS_URL", "redis://a"), password], "redis.sentinel_password: needs Sentinels"),
            (vec![sentinels, user], "redis.sentinel_username: needs"),
            (vec![("REDIS_URL", "a:6379")], "redis.url: has no scheme"),
            (
                vec![("DATABASE_URL", "jdbc:postgresql://u:secret@h/d")],
                "postgres.url: must start with postgres://",
            ),
        ] {
            let problems = with(&settings).unwrap_err();
            assert!(problems.len() == 1 && problems[0].starts_with(hint), "{problems:?}");
        }
    }
}
