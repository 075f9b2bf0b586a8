//! Subscriptions on a connection of their own. A connection that breaks ends the messages; the caller comes back.

use futures::StreamExt;
use futures::stream::BoxStream;
use redis::aio::PubSubSink;

use super::{Store, fault};
use crate::error::Fault;

/// Some channels of one connection.
pub struct Subscription {
    sink: PubSubSink,
    messages: BoxStream<'static, (String, String)>,
}

impl Store {
    /// Opens a connection and subscribes; when this returns, no message is missed any more.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn subscribe(&self, channels: &[String]) -> Result<Subscription, Fault> {
        let connection =
            self.client.get_async_pubsub().await.map_err(|error| fault("open a subscription", error))?;
        let (sink, messages) = connection.split();
        let messages = messages
            .filter_map(async |message| {
                Some((message.get_channel_name().to_owned(), message.get_payload::<String>().ok()?))
            })
            .boxed();
        let mut subscription = Subscription { sink, messages };
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
        self.sink.subscribe(channels).await.map_err(|error| fault("subscribe", error))
    }

    /// Leaves channels.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn drop(&mut self, channels: &[String]) -> Result<(), Fault> {
        self.sink.unsubscribe(channels).await.map_err(|error| fault("unsubscribe", error))
    }

    /// Asks Redis for a sign of life on this connection.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn ping(&mut self) -> Result<(), Fault> {
        self.sink.ping::<redis::Value>().await.map(drop).map_err(|error| fault("ping", error))
    }
}
