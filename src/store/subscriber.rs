//! Subscriptions on a connection of their own. A connection that breaks ends the messages; the caller comes back.

use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use redis::aio::PubSubSink;

use super::Store;
use super::redis_error::fault;
use crate::error::Fault;

/// Some channels of one connection.
pub struct Subscription {
    sink: PubSubSink,
    messages: BoxStream<'static, (String, String)>,
    timeout: Duration,
}

/// This connection has no time-out of its own.
async fn in_time<T>(
    doing: &'static str,
    timeout: Duration,
    asked: impl Future<Output = redis::RedisResult<T>>,
) -> Result<T, Fault> {
    match tokio::time::timeout(timeout, asked).await {
        Ok(answer) => answer.map_err(|error| fault(doing, error)),
        Err(_) => Err(Fault::retryable(doing, "no answer in time")),
    }
}

impl Store {
    /// Opens a connection and subscribes; when this returns, no message is missed any more.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn subscribe(&self, channels: &[String]) -> Result<Subscription, Fault> {
        // What is published on any server of a cluster is heard on all.
        let server = self.shown().server();
        let opening = server.client.get_async_pubsub();
        let connection = in_time("open a subscription", self.timeout, opening).await?;
        let (sink, messages) = connection.split();
        let messages = messages
            .filter_map(async |message| {
                Some((message.get_channel_name().to_owned(), message.get_payload::<String>().ok()?))
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
    /// The next message as channel and text; `None` when the connection is gone.
    pub async fn next(&mut self) -> Option<(String, String)> {
        self.messages.next().await
    }

    /// Subscribes to more channels.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn add(&mut self, channels: &[String]) -> Result<(), Fault> {
        in_time("subscribe", self.timeout, self.sink.subscribe(channels)).await
    }

    /// Leaves channels.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn drop(&mut self, channels: &[String]) -> Result<(), Fault> {
        in_time("unsubscribe", self.timeout, self.sink.unsubscribe(channels)).await
    }

    /// Asks Redis for a sign of life on this connection.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn ping(&mut self) -> Result<(), Fault> {
        in_time("ping", self.timeout, self.sink.ping::<redis::Value>()).await.map(drop)
    }
}
