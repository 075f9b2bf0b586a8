//! A Redis client for tests that does not use Laurel's code. Tests name keys without the prefix of their shard, on one process or a cluster.

mod place;
mod replies;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redis::AsyncConnectionConfig;
use redis::aio::MultiplexedConnection;
use redis::{FromRedisValue, RedisResult, Value};

use place::{Place, bare};

/// Opens a connection with a time-out of a minute, for a busy machine.
pub async fn connect_redis(url: &str) -> RedisResult<MultiplexedConnection> {
    let minute = Some(Duration::from_secs(60));
    let patient = AsyncConnectionConfig::new().set_connection_timeout(minute).set_response_timeout(minute);
    redis::Client::open(url)?.get_multiplexed_async_connection_with_config(&patient).await
}

pub struct RedisClient {
    servers: Vec<Server>,
    shards: usize,
    /// The last known server of each hash tag.
    known: HashMap<String, usize>,
    /// Tells the pool that the configuration was changed.
    damaged: Option<Arc<AtomicBool>>,
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
        Self::over(vec![Server::connect(url, String::new(), true).await], 1, None)
    }

    /// Several processes or shards.
    pub fn over(servers: Vec<Server>, shards: usize, damaged: Option<Arc<AtomicBool>>) -> Self {
        Self { servers, shards, known: HashMap::new(), damaged }
    }

    /// Runs a command. With several shards, the prefix of the key is added, and a command for keys of all shards runs in all of them: the
    /// replies are merged.
    pub async fn query<T: FromRedisValue>(&mut self, command: &str) -> T {
        self.query_words(&command.split(' ').collect::<Vec<_>>()).await
    }

    /// The same for a command whose words may have spaces.
    pub async fn query_words<T: FromRedisValue>(&mut self, words: &[&str]) -> T {
        if let (Some(damaged), "CONFIG") = (&self.damaged, words[0]) {
            damaged.store(true, Ordering::Relaxed);
        }
        let reply =
            if self.shards == 1 { self.send(0, words).await.unwrap() } else { self.route(words).await };
        redis::from_redis_value(reply).unwrap()
    }

    async fn route(&mut self, words: &[&str]) -> Value {
        let mut replies = Vec::new();
        match place::of(words, self.shards) {
            Place::Any => replies.push(self.send(0, words).await.unwrap()),
            Place::Masters if words[0] == "KEYS" => return replies::bare_keys(self.keys(words[1]).await),
            place @ (Place::Masters | Place::All) => {
                for server in 0..self.servers.len() {
                    if place == Place::All || self.servers[server].master {
                        replies.push(self.send(server, words).await.unwrap());
                    }
                }
            }
            Place::Tags(tags) => {
                for tag in tags {
                    replies.push(self.send_with_tag(&tag, words).await);
                }
            }
            Place::Holder(tags) => {
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
            let (to, _) = error.redirect_node().unwrap_or_else(|| panic!("{words:?}: {error}"));
            server = self.servers.iter().position(|it| it.address == to).unwrap();
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
    async fn keys(&mut self, bare: &str) -> Vec<String> {
        let pattern = if self.shards == 1 { bare.to_owned() } else { format!("{{{}.*}}{bare}", self.shards) };
        let mut found = Vec::new();
        for server in 0..self.servers.len() {
            if self.servers[server].master {
                let keys = self.send(server, &["KEYS", &pattern]).await.unwrap();
                found.extend(redis::from_redis_value::<Vec<String>>(keys).unwrap());
            }
        }
        found
    }

    /// All keys with their prefixes and values, except rate limit counters: the data that a refused request must not change.
    pub async fn dump(&mut self) -> BTreeMap<String, String> {
        let mut all = BTreeMap::new();
        for key in self.keys("*").await {
            if !bare(&key).starts_with("rate:") && !key.ends_with(":throttle") {
                let value = self.value(&key).await;
                all.insert(key, value);
            }
        }
        all
    }

    async fn value(&mut self, key: &str) -> String {
        let tag = key.strip_suffix(bare(key)).unwrap();
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
        sorted.map_or_else(|| format!("{value:?}"), |it| format!("{:?}", it.unwrap()))
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
