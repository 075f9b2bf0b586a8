//! Redis as a test looks at it, past Laurel's own code: in bare names, whether it is one process or a cluster of shards.

mod answers;
mod place;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redis::AsyncConnectionConfig;
use redis::aio::MultiplexedConnection;
use redis::{FromRedisValue, RedisResult, Value};

use place::{Place, bare};

/// A connection that waits a minute for each answer: a busy machine is slow, and a test has time.
pub async fn connect_redis(url: &str) -> RedisResult<MultiplexedConnection> {
    let minute = Some(Duration::from_secs(60));
    let patient = AsyncConnectionConfig::new().set_connection_timeout(minute).set_response_timeout(minute);
    redis::Client::open(url)?.get_multiplexed_async_connection_with_config(&patient).await
}

pub struct RedisLook {
    servers: Vec<Server>,
    shards: usize,
    /// The server of a hash tag, as it was last seen.
    known: HashMap<String, usize>,
    /// What tells the pool that this Redis is no longer as it was made.
    damaged: Option<Arc<AtomicBool>>,
}

/// A process that is asked.
pub struct Server {
    /// What others call it when they lead to it.
    pub address: String,
    pub master: bool,
    connection: MultiplexedConnection,
}

impl Server {
    pub async fn connect(url: &str, address: String, master: bool) -> Self {
        Self { address, master, connection: connect_redis(url).await.unwrap() }
    }
}

impl RedisLook {
    /// One process, with names as they are.
    pub async fn new(url: &str) -> Self {
        Self::over(vec![Server::connect(url, String::new(), true).await], 1, None)
    }

    /// Several processes or shards.
    pub fn over(servers: Vec<Server>, shards: usize, damaged: Option<Arc<AtomicBool>>) -> Self {
        Self { servers, shards, known: HashMap::new(), damaged }
    }

    /// One command, its words parted by blanks. With several shards, keys are named without theirs, and what is in all of
    /// them is asked of all of them: numbers are added, lists put one after another.
    pub async fn ask<T: FromRedisValue>(&mut self, command: &str) -> T {
        let words: Vec<_> = command.split(' ').collect();
        if let (Some(damaged), "CONFIG") = (&self.damaged, words[0]) {
            damaged.store(true, Ordering::Relaxed);
        }
        let answer =
            if self.shards == 1 { self.say(0, &words).await.unwrap() } else { self.spread(&words).await };
        redis::from_redis_value(answer).unwrap()
    }

    async fn spread(&mut self, words: &[&str]) -> Value {
        let mut answers = Vec::new();
        match place::of(words, self.shards) {
            Place::Any => answers.push(self.say(0, words).await.unwrap()),
            Place::Masters if words[0] == "KEYS" => return answers::bare_keys(self.keys(words[1]).await),
            place @ (Place::Masters | Place::Everybody) => {
                for server in 0..self.servers.len() {
                    if place == Place::Everybody || self.servers[server].master {
                        answers.push(self.say(server, words).await.unwrap());
                    }
                }
            }
            Place::Tags(tags) => {
                for tag in tags {
                    answers.push(self.tagged(&tag, words).await);
                }
            }
            Place::Holder(tags) => {
                for tag in &tags {
                    if self.tagged(tag, &["EXISTS", words[1]]).await == Value::Int(1) {
                        return self.tagged(tag, words).await;
                    }
                }
                answers.push(self.tagged(&tags[0], words).await);
            }
        }
        answers::merged(words, answers)
    }

    /// A command whose key has this tag.
    async fn tagged(&mut self, tag: &str, words: &[&str]) -> Value {
        let key = format!("{tag}{}", words[1]);
        let mut words = words.to_vec();
        words[1] = &key;
        self.keyed(tag, &words).await
    }

    /// A command on the server that has the tag: whoever is asked says who that is.
    async fn keyed(&mut self, tag: &str, words: &[&str]) -> Value {
        let mut server = self.known.get(tag).copied().unwrap_or_default();
        for _ in 0..5 {
            let error = match self.say(server, words).await {
                Ok(value) => {
                    self.known.insert(tag.to_owned(), server);
                    return value;
                }
                Err(error) => error,
            };
            let (to, _) = error.redirect_node().unwrap_or_else(|| panic!("{words:?}: {error}"));
            server = self.servers.iter().position(|it| it.address == to).unwrap();
        }
        panic!("{words:?}: sent round in a circle");
    }

    async fn say(&mut self, server: usize, words: &[&str]) -> RedisResult<Value> {
        let mut command = redis::cmd(words[0]);
        for word in &words[1..] {
            command.arg(word);
        }
        command.query_async(&mut self.servers[server].connection).await
    }

    /// Keys by their whole names.
    async fn keys(&mut self, bare: &str) -> Vec<String> {
        let pattern = if self.shards == 1 { bare.to_owned() } else { format!("{{{}.*}}{bare}", self.shards) };
        let mut found = Vec::new();
        for server in 0..self.servers.len() {
            if self.servers[server].master {
                let keys = self.say(server, &["KEYS", &pattern]).await.unwrap();
                found.extend(redis::from_redis_value::<Vec<String>>(keys).unwrap());
            }
        }
        found
    }

    /// Every key by its whole name with its value, but for the counters of attempts: what a refused request must leave as
    /// it was.
    pub async fn everything(&mut self) -> BTreeMap<String, String> {
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
        let kind: String = redis::from_redis_value(self.keyed(tag, &["TYPE", key]).await).unwrap();
        let words = match kind.as_str() {
            "hash" => vec!["HGETALL", key],
            "list" => vec!["LRANGE", key, "0", "-1"],
            "zset" => vec!["ZRANGE", key, "0", "-1", "WITHSCORES"],
            "stream" => vec!["XRANGE", key, "-", "+"],
            _ => vec!["GET", key],
        };
        let value = self.keyed(tag, &words).await;
        // The fields of a hash come in any order.
        let sorted =
            (kind == "hash").then(|| redis::from_redis_value::<BTreeMap<String, String>>(value.clone()));
        sorted.map_or_else(|| format!("{value:?}"), |it| format!("{:?}", it.unwrap()))
    }

    /// Fails with the keys that are not as they were.
    pub async fn assert_unchanged(&mut self, before: &BTreeMap<String, String>) {
        let after = self.everything().await;
        let keys: std::collections::BTreeSet<_> = before.keys().chain(after.keys()).collect();
        let changed: Vec<_> = keys
            .into_iter()
            .filter(|key| before.get(*key) != after.get(*key))
            .map(|key| (key, before.get(key), after.get(key)))
            .collect();
        assert!(changed.is_empty(), "{changed:#?}");
    }
}
