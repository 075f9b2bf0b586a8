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
    pub async fn everything(&mut self) -> BTreeMap<String, Vec<u8>> {
        let keys: Vec<String> = self.ask("KEYS *").await;
        let mut all = BTreeMap::new();
        for key in keys.into_iter().filter(|it| !it.starts_with("rate:") && !it.ends_with(":window")) {
            // The stream's consumers come and go by themselves; its entries are what counts.
            let value: Option<Vec<u8>> = if key == "outbox" {
                let entries: redis::Value = self.ask("XRANGE outbox - +").await;
                Some(format!("{entries:?}").into_bytes())
            } else {
                redis::cmd("DUMP").arg(&key).query_async(&mut self.connection).await.unwrap()
            };
            if let Some(value) = value {
                all.insert(key, value);
            }
        }
        all
    }
}
