//! The typed tree. `defaults.toml` has each setting's meaning and unit.

use std::fmt;

use serde::Deserialize;

/// Text that is never printed: secrets, and URLs that may carry a password.
#[derive(Clone, Default, Deserialize, PartialEq, Eq)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The text itself, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether it was left out.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
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
        #[derive(Clone, Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        #[allow(missing_docs, reason = "defaults.toml has each setting's meaning and unit")]
        pub struct $section { $(pub $key: $type),+ })+
    };
}

sections! {
    /// The whole tree.
    Config {
        server: Server, store: Store, database: Database, embedded: Embedded, auth: Auth, tokens: Tokens, limits: Limits,
        live: Live, outbox: Outbox, actions: Actions, callbacks: Callbacks, log: Log, traces: Traces,
    }
    /// The listener.
    Server {
        host: String, port: u32, admin_listen: String, request_timeout_ms: u64, header_timeout_ms: u64, write_timeout_ms: u64,
        max_connections: usize, drain_seconds: u64, drain_notice_ms: u64, trusted_proxies: Vec<String>, cors_origins: Vec<String>,
    }
    /// Redis.
    Store {
        redis_url: Secret, sentinel_username: String, sentinel_password: Secret, connections: usize, timeout_ms: u64, shards: u32,
        wait_replicas: u32, wait_timeout_ms: u64,
    }
    /// Postgres.
    Database { url: Secret, max_connections: u32, acquire_timeout_ms: u64 }
    /// Private stores.
    Embedded { data_dir: String }
    /// Logins.
    Auth {
        jwt_secret: Secret, previous_jwt_secrets: Vec<Secret>, jwt_hours: u32, hashes_at_once: usize, hash_wait_ms: u64,
        audience: String, issuers_file: String, receipt_key_file: String,
    }
    /// How long single-use tokens live.
    Tokens {
        anti_spam_seconds: u64, action_seconds: u64, action_interval_seconds: u64, session_seconds: u64, answer_seconds: u64,
    }
    /// How much anybody may do; 0 is no limit.
    Limits {
        updates_per_minute: u32, inits_per_minute: u32, starts_per_hour: u32, logins_per_minute: u32,
        logins_per_minute_per_ip: u32, points_per_hour: u64, registers_per_minute_per_ip: u32, requests_per_minute_per_ip: u32,
        requests_per_minute_per_user: u32, sockets_per_user: u32,
        sockets_per_ip: u32, connections_per_ip: u32,
    }
    /// Fan-out and sockets.
    Live {
        min_interval_ms: u64, ping_seconds: u64, write_timeout_ms: u64, spectators: bool, compression: bool, max_sockets: usize,
        pending_percent: usize, login_timeout_ms: u64,
        handshakes_at_once: usize, handshakes_waiting: usize, node_name: String,
    }
    /// From Redis to Postgres.
    Outbox { max_entries: u64, batch: usize, linger_ms: u64, acknowledge_timeout_ms: u64, token_retention_days: u32 }
    /// The catalogue.
    Actions { file: String }
    /// What ad networks call.
    Callbacks { admob_keys_url: String }
    /// Logs.
    Log { format: String }
    /// Traces.
    Traces { endpoint: String, protocol: String, sample_ratio: f64, trust_parent: bool }
}
