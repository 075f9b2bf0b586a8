//! The typed tree of settings. `defaults.toml` documents each setting.

use std::fmt;

use reqwest::Url;
use serde::{Deserialize, Serialize, Serializer};

/// Text that is never printed: secrets, and URLs that may contain a password.
#[derive(Clone, Default, Deserialize, PartialEq, Eq)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The text itself.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether it is not set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The URL for people to read, without the login and without parameters that may be secret.
    pub fn without_login(&self) -> String {
        let Ok(url) = Url::parse(&self.0) else { return self.hosts() };
        let scheme = url.scheme();
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        let public = ["host", "hostaddr", "port", "dbname", "db"];
        let parameters = url.query().into_iter().flat_map(|query| query.split('&'));
        let shown = parameters
            .filter(|parameter| public.iter().any(|name| parameter.split('=').next() == Some(name)));
        let shown: Vec<_> = shown.collect();
        let query = if shown.is_empty() { String::new() } else { format!("?{}", shown.join("&")) };
        format!("{scheme}://{}{port}{}{query}", url.host_str().unwrap_or_default(), url.path())
    }

    /// The same for a URL with several hosts, which `Url` does not parse: the part after the login, without parameters.
    fn hosts(&self) -> String {
        let Some((scheme, rest)) = self.0.split_once("://") else { return "<not a URL>".to_owned() };
        let hosts = match rest.split_once('?') {
            Some((_, parameters)) if parameters.contains('@') => "<hidden>",
            Some((hosts, _)) => hosts,
            None => rest,
        };
        format!("{scheme}://{}", hosts.rsplit('@').next().unwrap_or_default())
    }
}

/// Serialized secrets are hidden too.
impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(if self.0.is_empty() { "" } else { "<hidden>" })
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "<unset>" } else { "<hidden>" })
    }
}

macro_rules! sections {
    ($($(#[$meta:meta])* $section:ident { $($key:ident: $type:ty),+ $(,)? })+) => {
        $($(#[$meta])*
        #[derive(Clone, Debug, Deserialize, Serialize)]
        #[serde(deny_unknown_fields)]
        #[allow(missing_docs, reason = "defaults.toml documents each setting")]
        pub struct $section { $(pub $key: $type),+ })+
    };
}

sections! {
    /// All settings.
    Config {
        server: Server, redis: Redis, postgres: Postgres, embedded: Embedded, auth: Auth, tokens: Tokens, limits: Limits,
        live: Live, outbox: Outbox, abuse: Abuse, actions: Actions, boards: Boards, callbacks: Callbacks, log: Log, traces: Traces,
    }
    /// HTTP listeners.
    Server {
        host: String, port: u32, admin_listen: String, request_timeout_ms: u64, header_timeout_ms: u64, write_timeout_ms: u64,
        max_connections: usize, drain_seconds: u64, drain_notice_ms: u64, trusted_proxies: Vec<String>, cors_origins: Vec<String>,
    }
    /// Redis.
    Redis {
        url: Secret, sentinel_username: String, sentinel_password: Secret, connections: usize, timeout_ms: u64, shards: u32,
        wait_replicas: u32, wait_timeout_ms: u64,
    }
    /// Postgres.
    Postgres { url: Secret, max_connections: u32, acquire_timeout_ms: u64 }
    /// Private stores of a node without URLs.
    Embedded { data_dir: String }
    /// Logins and keys.
    Auth {
        jwt_secret: Secret, previous_jwt_secrets: Vec<Secret>, jwt_hours: u32, max_concurrent_hashes: usize, hash_queue_timeout_ms: u64,
        audience: String, issuers_file: String, receipt_key_file: String,
    }
    /// Lifetimes of tokens and stored responses.
    Tokens {
        anti_spam_seconds: u64, action_seconds: u64, action_interval_seconds: u64, session_seconds: u64, answer_seconds: u64,
    }
    /// Rate limits; 0: no limit.
    Limits {
        updates_per_minute: u32, inits_per_minute: u32, starts_per_hour: u32, logins_per_minute: u32,
        logins_per_minute_per_ip: u32, points_per_hour: u64, registers_per_minute_per_ip: u32, requests_per_minute_per_ip: u32,
        requests_per_minute_per_user: u32, sockets_per_user: u32,
        sockets_per_ip: u32, connections_per_ip: u32,
    }
    /// Real-time connections.
    Live {
        publish_interval_ms: u64, board_publish_interval_ms: u64, max_split_boards: usize, ping_seconds: u64, write_timeout_ms: u64, public_stream: bool, compression: bool, max_sockets: usize,
        pending_percent: usize, login_timeout_ms: u64,
        max_concurrent_handshakes: usize, max_queued_handshakes: usize, node_name: String,
    }
    /// The outbox from Redis to Postgres.
    Outbox { max_entries: u64, batch: usize, linger_ms: u64, acknowledge_timeout_ms: u64 }
    /// Abuse signals.
    Abuse { retention_days: u32 }
    /// The catalogue of actions.
    Actions { file: String }
    /// The boards.
    Boards { file: String }
    /// Callbacks of ad networks.
    Callbacks { admob_keys_url: String }
    /// Logs.
    Log { format: String }
    /// Traces.
    Traces { endpoint: String, protocol: String, sample_ratio: f64, trust_parent: bool }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_shown_without_secrets() {
        for (url, shown) in [
            ("redis://cache:6379/4", "redis://cache:6379/4"),
            ("redis://:hunter2@cache:6379", "redis://cache:6379"),
            ("rediss://laurel:hunter2@cache", "rediss://cache"),
            ("redis://laurel:hun/ter2@cache:6379", "redis://cache:6379"),
            ("redis-cluster://a:6379,b:6379", "redis-cluster://a:6379,b:6379"),
            ("redis-cluster://u:hunter2@a:6379,b:6379", "redis-cluster://a:6379,b:6379"),
            ("redis-cluster://a:1,b:2?password=hunter2", "redis-cluster://a:1,b:2"),
            ("redis-cluster://a:1,b:2?password=hunt@er2", "redis-cluster://<hidden>"),
            ("unix:///run/redis.sock?pass=hunter2&db=3", "unix:///run/redis.sock?db=3"),
            ("postgres://u:hunter2@db:5432/laurel", "postgres://db:5432/laurel"),
            ("postgres://u:hunt%40er2@db/laurel", "postgres://db/laurel"),
            ("postgres://u:hunt@er2@db/laurel", "postgres://db/laurel"),
            ("postgres:///laurel?host=/run/pg&user=u&password=hunter2", "postgres:///laurel?host=/run/pg"),
            ("postgres://db/laurel?sslmode=require&sslpassword=hunter2", "postgres://db/laurel"),
            ("hunter2", "<not a URL>"),
            ("", "<not a URL>"),
        ] {
            assert_eq!(Secret::from(url.to_owned()).without_login(), shown, "{url}");
        }
    }
}
