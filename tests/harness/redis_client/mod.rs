//! A Redis client for tests that does not use the code of Laurel. Tests name keys without the prefix of their shard, on one process and on a
//! cluster.

mod replies;
mod routing;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redis::AsyncConnectionConfig;
use redis::aio::MultiplexedConnection;
use redis::{FromRedisValue, RedisResult, Value};
use tokio::sync::Mutex;

use routing::{Route, route, without_prefix};

/// Opens a connection with a time-out of a minute, for a busy machine.
pub async fn connect_redis(url: &str) -> RedisResult<MultiplexedConnection> {
    let timeout = Some(Duration::from_secs(60));
    let config = AsyncConnectionConfig::new().set_connection_timeout(timeout).set_response_timeout(timeout);
    redis::Client::open(url)?.get_multiplexed_async_connection_with_config(&config).await
}

pub struct RedisClient {
    servers: Vec<Server>,
    shards: usize,
    /// The last known server of each hash tag.
    known: HashMap<String, usize>,
    /// Set when a command changes the configuration: then no other test gets the cluster.
    is_changed: Option<Arc<AtomicBool>>,
}

/// A connection to one process.
pub struct Server {
    /// The address in redirects.
    pub address: String,
    pub master: bool,
    connection: MultiplexedConnection,
}

impl Server {
    pub async fn connect(url: &str, address: String, master: bool) -> Self {
        Self { address, master, connection: connect_redis(url).await.unwrap() }
    }
}

impl RedisClient {
    /// One process without shards.
    pub async fn new(url: &str) -> Self {
        Self::with_servers(vec![Server::connect(url, String::new(), true).await], 1, None)
    }

    /// Several processes or shards.
    pub fn with_servers(servers: Vec<Server>, shards: usize, is_changed: Option<Arc<AtomicBool>>) -> Self {
        Self { servers, shards, known: HashMap::new(), is_changed }
    }

    /// Runs a command. With several shards, it adds the prefix of the key. A command for a key of all shards runs on each of them, and the
    /// replies are merged.
    pub async fn query<T: FromRedisValue>(&mut self, command: &str) -> T {
        self.query_words(&command.split(' ').collect::<Vec<_>>()).await
    }

    /// Like `query`, for words with spaces.
    pub async fn query_words<T: FromRedisValue>(&mut self, words: &[&str]) -> T {
        if let (Some(is_changed), "CONFIG") = (&self.is_changed, words[0]) {
            is_changed.store(true, Ordering::Relaxed);
        }
        let reply =
            if self.shards == 1 { self.send(0, words).await.unwrap() } else { self.send_routed(words).await };
        redis::from_redis_value(reply).unwrap()
    }

    /// Makes a single Redis listen on TCP. Returns the port.
    pub async fn listen_on_tcp(&mut self) -> u16 {
        let port = super::free_port();
        for setting in ["bind 127.0.0.1".to_owned(), format!("port {port}")] {
            let _: () = self.query(&format!("CONFIG SET {setting}")).await;
        }
        port
    }

    /// Makes a single Redis a replica of the Redis on a port, and waits until it is in sync.
    pub async fn replicate_from(&mut self, port: u16) {
        let _: () = self.query(&format!("REPLICAOF 127.0.0.1 {port}")).await;
        let client = &Mutex::new(self);
        super::eventually("the replica to be in sync", async || {
            let info: String = client.lock().await.query("INFO replication").await;
            info.contains("master_link_status:up").then_some(())
        })
        .await;
    }

    async fn send_routed(&mut self, words: &[&str]) -> Value {
        let mut replies = Vec::new();
        match route(words, self.shards) {
            Route::Any => replies.push(self.send(0, words).await.unwrap()),
            Route::Masters if words[0] == "KEYS" => {
                return replies::without_prefixes(self.keys(words[1]).await);
            }
            destination @ (Route::Masters | Route::All) => {
                for server in 0..self.servers.len() {
                    if destination == Route::All || self.servers[server].master {
                        replies.push(self.send(server, words).await.unwrap());
                    }
                }
            }
            Route::Tags(tags) => {
                for tag in tags {
                    replies.push(self.send_with_tag(&tag, words).await);
                }
            }
            Route::Holder(tags) => {
                for tag in &tags {
                    if self.send_with_tag(tag, &["EXISTS", words[1]]).await == Value::Int(1) {
                        return self.send_with_tag(tag, words).await;
                    }
                }
                replies.push(self.send_with_tag(&tags[0], words).await);
            }
        }
        replies::merge(words, replies)
    }

    /// Adds a hash tag to the key of a command and sends it.
    async fn send_with_tag(&mut self, tag: &str, words: &[&str]) -> Value {
        let key = format!("{tag}{}", words[1]);
        let mut words = words.to_vec();
        words[1] = &key;
        self.send_to_tag(tag, &words).await
    }

    /// Sends a command to the server of a hash tag, and follows redirects.
    async fn send_to_tag(&mut self, tag: &str, words: &[&str]) -> Value {
        let mut server = self.known.get(tag).copied().unwrap_or_default();
        for _ in 0..5 {
            let error = match self.send(server, words).await {
                Ok(value) => {
                    self.known.insert(tag.to_owned(), server);
                    return value;
                }
                Err(error) => error,
            };
            let (address, _) = error.redirect_node().unwrap_or_else(|| panic!("{words:?}: {error}"));
            server = self.servers.iter().position(|server| server.address == address).unwrap();
        }
        panic!("{words:?}: too many redirects");
    }

    async fn send(&mut self, server: usize, words: &[&str]) -> RedisResult<Value> {
        let mut command = redis::cmd(words[0]);
        for word in &words[1..] {
            command.arg(word);
        }
        command.query_async(&mut self.servers[server].connection).await
    }

    /// The keys that match a pattern, with their prefixes.
    async fn keys(&mut self, pattern: &str) -> Vec<String> {
        let pattern =
            if self.shards == 1 { pattern.to_owned() } else { format!("{{{}.*}}{pattern}", self.shards) };
        let mut found = Vec::new();
        for server in 0..self.servers.len() {
            if self.servers[server].master {
                let keys = self.send(server, &["KEYS", &pattern]).await.unwrap();
                found.extend(redis::from_redis_value::<Vec<String>>(keys).unwrap());
            }
        }
        found
    }

    /// All keys with their prefixes and values, except rate limit counters and boards that follow the ledger by themselves. A refused request
    /// must not change them.
    pub async fn dump(&mut self) -> BTreeMap<String, String> {
        let mut all = BTreeMap::new();
        for key in self.keys("*").await {
            let is_other = key.starts_with("leaderboard:{") || key.ends_with(":throttle");
            if !is_other && !without_prefix(&key).starts_with("rate:") {
                let value = self.value(&key).await;
                all.insert(key, value);
            }
        }
        all
    }

    async fn value(&mut self, key: &str) -> String {
        let tag = key.strip_suffix(without_prefix(key)).unwrap();
        let kind: String = redis::from_redis_value(self.send_to_tag(tag, &["TYPE", key]).await).unwrap();
        let words = match kind.as_str() {
            "hash" => vec!["HGETALL", key],
            "list" => vec!["LRANGE", key, "0", "-1"],
            "zset" => vec!["ZRANGE", key, "0", "-1", "WITHSCORES"],
            "stream" => vec!["XRANGE", key, "-", "+"],
            _ => vec!["GET", key],
        };
        let value = self.send_to_tag(tag, &words).await;
        // The fields of a hash have no order.
        let sorted =
            (kind == "hash").then(|| redis::from_redis_value::<BTreeMap<String, String>>(value.clone()));
        sorted.map_or_else(|| format!("{value:?}"), |hash| format!("{:?}", hash.unwrap()))
    }

    /// Fails with the keys that have changed.
    pub async fn assert_unchanged(&mut self, before: &BTreeMap<String, String>) {
        let after = self.dump().await;
        let keys: std::collections::BTreeSet<_> = before.keys().chain(after.keys()).collect();
        let changed: Vec<_> = keys
            .into_iter()
            .filter(|key| before.get(*key) != after.get(*key))
            .map(|key| (key, before.get(key), after.get(key)))
            .collect();
        assert!(changed.is_empty(), "{changed:#?}");
    }
}
