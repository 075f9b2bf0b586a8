//! Redis as a test looks at it, past Laurel's own code.

use std::collections::BTreeMap;

use redis::aio::MultiplexedConnection;

pub struct RedisLook {
    connection: MultiplexedConnection,
}

impl RedisLook {
    pub async fn new(url: &str) -> Self {
        let client = redis::Client::open(url).unwrap();
        Self { connection: client.get_multiplexed_async_connection().await.unwrap() }
    }

    /// One command, its words parted by blanks.
    pub async fn ask<T: redis::FromRedisValue>(&mut self, command: &str) -> T {
        let mut words = command.split(' ');
        let mut asked = redis::cmd(words.next().unwrap());
        for word in words {
            asked.arg(word);
        }
        asked.query_async(&mut self.connection).await.unwrap()
    }

    /// Every key with its value, but for the counters of attempts: what a refused request must leave as it was.
    pub async fn everything(&mut self) -> BTreeMap<String, String> {
        let keys: Vec<String> = self.ask("KEYS *").await;
        let mut all = BTreeMap::new();
        for key in keys.into_iter().filter(|it| !it.starts_with("rate:") && !it.ends_with(":window")) {
            let kind: String = self.ask(&format!("TYPE {key}")).await;
            let value = match kind.as_str() {
                "hash" => {
                    format!("{:?}", self.ask::<BTreeMap<String, String>>(&format!("HGETALL {key}")).await)
                }
                "list" => format!("{:?}", self.ask::<Vec<String>>(&format!("LRANGE {key} 0 -1")).await),
                "zset" => {
                    format!("{:?}", self.ask::<Vec<String>>(&format!("ZRANGE {key} 0 -1 WITHSCORES")).await)
                }
                "stream" => format!("{:?}", self.ask::<redis::Value>(&format!("XRANGE {key} - +")).await),
                _ => format!("{:?}", self.ask::<Option<String>>(&format!("GET {key}")).await),
            };
            all.insert(key, value);
        }
        all
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
