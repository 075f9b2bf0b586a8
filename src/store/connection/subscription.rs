//! Pub/sub subscriptions on a dedicated connection. If the connection breaks, the messages end and the caller subscribes again.

use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use redis::aio::PubSubSink;

use super::redis_error::fault;
use crate::error::Fault;
use crate::store::Store;

/// The channels of one connection.
pub struct Subscription {
    sink: PubSubSink,
    messages: BoxStream<'static, (String, Vec<u8>)>,
    timeout: Duration,
}

/// Adds a time-out, which pub/sub connections lack.
async fn in_time<T>(
    operation: &'static str,
    timeout: Duration,
    call: impl Future<Output = redis::RedisResult<T>>,
) -> Result<T, Fault> {
    match tokio::time::timeout(timeout, call).await {
        Ok(result) => result.map_err(|error| fault(operation, error)),
        Err(_) => Err(Fault::retryable(operation, "no answer in time")),
    }
}

impl Store {
    /// Opens a connection and subscribes. From its return on, no message is missed.
    ///
    /// # Errors
    /// Redis is unavailable.
    pub async fn subscribe(&self, channels: &[String]) -> Result<Subscription, Fault> {
        // A cluster delivers messages to the subscribers of all its servers.
        let server = self.shown().server();
        let opening = server.client.get_async_pubsub();
        let connection = in_time("open_subscription", self.timeout, opening).await?;
        let (sink, messages) = connection.split();
        let messages = messages
            .filter_map(async |message| {
                Some((message.get_channel_name().to_owned(), message.get_payload().ok()?))
            })
            .boxed();
        let mut subscription = Subscription { sink, messages, timeout: self.timeout };
        if !channels.is_empty() {
            subscription.add(channels).await?;
        }
        Ok(subscription)
    }
}

impl Subscription {
    /// The next message of text, with its channel; `None` when the connection is closed. Cancel safe.
    pub async fn next(&mut self) -> Option<(String, String)> {
        loop {
            let (channel, bytes) = self.next_bytes().await?;
            if let Ok(text) = String::from_utf8(bytes) {
                return Some((channel, text));
            }
        }
    }

    /// The next message with its channel; `None` when the connection is closed. Cancel safe.
    pub async fn next_bytes(&mut self) -> Option<(String, Vec<u8>)> {
        self.messages.next().await
    }

    /// Subscribes to more channels.
    ///
    /// # Errors
    /// Redis is unavailable.
    pub async fn add(&mut self, channels: &[String]) -> Result<(), Fault> {
        in_time("subscribe", self.timeout, self.sink.subscribe(channels)).await
    }

    /// Unsubscribes from channels.
    ///
    /// # Errors
    /// Redis is unavailable.
    pub async fn drop(&mut self, channels: &[String]) -> Result<(), Fault> {
        in_time("unsubscribe", self.timeout, self.sink.unsubscribe(channels)).await
    }

    /// Checks that this connection is alive.
    ///
    /// # Errors
    /// Redis is unavailable.
    pub async fn ping(&mut self) -> Result<(), Fault> {
        in_time("ping_subscription", self.timeout, self.sink.ping::<redis::Value>()).await.map(drop)
    }
}
