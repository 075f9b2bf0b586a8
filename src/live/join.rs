//! The one way in for everybody who listens, whichever the protocol.

use std::time::Duration;

use tokio::time::Instant;

use super::Seat;
use super::fanout::{Dialect, Newcomer, Sink, Ticket};
use crate::account::Identity;
use crate::app::App;

/// Takes a player in until the login runs out, or a spectator. `None` if the node ends.
///
/// Perhaps the client was at another node just now, and saw a board there that has not come here yet. So the first board that
/// it is told is no older than the newest that was published before it came, anywhere.
pub async fn join(
    app: &App,
    caller: Option<Identity>,
    sink: Sink,
    dialect: Dialect,
    seat: Seat,
) -> Option<Ticket> {
    // While Redis is away, or its board is closed, what this node has is all that there is to tell.
    let current = app.health.is_current();
    let least_version = if current { app.store.published().await.unwrap_or(0) } else { 0 };
    let left_ms = caller.as_ref().map(|it| it.expires_at_s * 1000 - app.clock.now_ms());
    let login_ends = left_ms.map(|it| Instant::now() + Duration::from_millis(it.max(0) as u64));
    app.fanout.join(Newcomer { sink, dialect, caller, login_ends, seat, least_version }).await
}
