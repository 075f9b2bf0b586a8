//! Server-sent events (WHATWG HTML, section 9.2): the body of an answer that goes on as long as somebody reads it.

use std::convert::Infallible;

use axum::body::Body;
use futures::stream;
use tokio::sync::mpsc;

use super::Seat;
use super::fanout::{Dialect, Protocol, Sink};
use super::join::join;
use crate::account::Identity;
use crate::app::App;

/// The events of a player, or of a spectator, packed as gzip or not; `None` if the node ends. The client is gone when the body is dropped.
pub async fn serve(app: &App, caller: Option<Identity>, packed: bool, seat: Seat) -> Option<Body> {
    // One event waits here; the connection itself keeps a few more.
    let (sink, pieces) = mpsc::channel(1);
    let (sink, dialect) = (Sink::Body(sink), Dialect { protocol: Protocol::Events, packed });
    let ticket = join(app, caller, sink, dialect, seat).await?;
    Some(Body::from_stream(stream::unfold((pieces, ticket), async |(mut pieces, ticket)| {
        let piece = pieces.recv().await?;
        Some((Ok::<_, Infallible>(piece), (pieces, ticket)))
    })))
}
