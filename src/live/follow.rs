//! Background tasks that keep the hub current. They are stateless: on every message and at least once a second they read the state in
//! Redis again, so a lost message delays a board by at most a second.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use uuid::Uuid;

use super::{Board, EncodedBoard};
use crate::error::Fault;
use crate::live::Live;
use crate::store::{
    BAN_MESSAGE, BoardId, BoardState, PersonalUpdate, Subscription, board_channel, personal_channel,
    trace_channel,
};
use crate::supervise::Backoff;

/// A lost publication is found within this time.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// Interval while Redis does not answer: subscribers must learn within two seconds that it does again.
const POLL_RETRY_INTERVAL: Duration = Duration::from_millis(250);
/// Each poll repeats the bans of this time, in case an earlier one missed them; closing a connection twice does no harm.
const BAN_OVERLAP_MS: i64 = 5000;
/// A silent subscription is pinged this often.
const PING_INTERVAL: Duration = Duration::from_secs(5);
/// Channels per SUBSCRIBE.
const CHANNEL_BATCH: usize = 512;
/// How often `maxmemory-policy` is checked.
pub const EVICTION_CHECK_INTERVAL: Duration = Duration::from_secs(60);

/// Polls Redis once, and updates the hub, the health and the subscribers.
///
/// # Errors
/// Redis does not answer.
pub async fn poll(live: &Live) -> Result<(), Fault> {
    let known = live.hub.newest().version;
    let since_ms = live.health.last_poll_redis_ms() - BAN_OVERLAP_MS;
    let mut state =
        live.store.poll(known, since_ms).await.inspect_err(|_| live.health.record_poll_failure())?;
    check_writes(live).await.inspect_err(|_| live.health.record_poll_failure())?;
    if state.has_unmerged_shards {
        if live.store.merge_all_shards(live.config.live.publish_interval_ms).await > 0 {
            live.hub.request_flush();
        }
        let banned = state.banned;
        state = BoardState { banned, ..live.store.poll(known, i64::MAX).await? };
    }
    for user in state.banned {
        live.fanout.ban(user);
    }
    if state.version > known && state.shows {
        live.hub.learn(&Arc::new(EncodedBoard::new(Board::from_entries(
            BoardId::GLOBAL,
            state.version,
            state.top,
        ))));
    }
    let newest = live.hub.newest();
    if newest.version <= state.published {
        // Its publication may have been lost.
        publish(live, Board::clone(&newest));
        if state.shows {
            live.health.record_published_board();
        }
    } else if state.shows {
        // The throttle holds it back, and the node that should publish it may be gone.
        live.hub.request_flush();
    }
    if state.shows && state.version < known {
        let due_ms = live.store.raise_version(known, live.config.live.publish_interval_ms).await?;
        if due_ms > 0 {
            live.hub.request_flush();
        }
    }
    live.health.record_poll(state.open, state.outbox_at_most, state.at_ms, live.clock.now_ms());
    live.metrics.outbox_entries.set(state.outbox as i64);
    Ok(())
}

/// Checks whether Redis takes writes, and logs a change.
async fn check_writes(live: &Live) -> Result<(), Fault> {
    let refusal = live.store.write_refusal().await?;
    let before = live.health.set_write_refusal(refusal.clone());
    live.metrics.redis_refuses_writes.set(refusal.is_some().into());
    match (refusal, before) {
        (refusal, before) if refusal == before => {}
        (Some(refusal), _) => tracing::error!(
            refusal,
            runbook = "LaurelRedisRefusesWrites",
            "redis refuses writes, awards get 503 until it takes them"
        ),
        (None, _) => tracing::info!("redis takes writes again"),
    }
    Ok(())
}

/// Passes a published board on, and ends the spans that wait for it.
fn publish(live: &Live, board: Board) {
    live.pending_spans.end(board.version);
    live.hub.publish(board);
}

/// Polls Redis once a second.
pub async fn poll_forever(live: Arc<Live>) {
    let mut ticks = tokio::time::interval(POLL_INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        while let Err(fault) = poll(&live).await {
            tracing::warn!(%fault, runbook = "LaurelAwardsRefused", "redis poll failed, retrying");
            tokio::time::sleep(POLL_RETRY_INTERVAL).await;
        }
    }
}

/// Follows the board's channel.
pub async fn follow_board(live: Arc<Live>) {
    let mut backoff = Backoff::default();
    loop {
        if let Err(fault) = board_subscription(&live, &mut backoff).await {
            tracing::warn!(%fault, "board subscription lost, subscribing again");
        }
        backoff.wait().await;
    }
}

/// One connection. It subscribes before it polls, so that no board between the two is missed.
async fn board_subscription(live: &Live, backoff: &mut Backoff) -> Result<(), Fault> {
    // Trace contexts use the same connection, so that each arrives before its board.
    let traced = live.traces.is_some().then(|| trace_channel(BoardId::GLOBAL));
    let channels: Vec<String> = [board_channel(BoardId::GLOBAL)].into_iter().chain(traced).collect();
    let mut subscription = live.store.subscribe(&channels).await?;
    poll(live).await?;
    backoff.reset();
    loop {
        match tokio::time::timeout(PING_INTERVAL, subscription.next()).await {
            Ok(Some((channel, text))) if Some(&channel) == channels.get(1) => {
                if let Some(traces) = &live.traces {
                    live.pending_spans.start(traces, &text);
                }
            }
            Ok(Some((_, text))) => {
                let board = Board::read_publication(BoardId::GLOBAL, &text)?;
                live.metrics.board_lag(live.clock.now_ms() - board.changed_at_ms());
                publish(live, board);
                live.health.record_published_board();
            }
            Ok(None) => return Err(Fault::retryable("follow_board", "the connection ended")),
            Err(_) => subscription.ping().await?,
        }
    }
}

/// Follows the channels of the users who have a subscriber on this node.
pub async fn follow_users(live: Arc<Live>, mut changes: UnboundedReceiver<Uuid>) {
    let mut backoff = Backoff::default();
    loop {
        if let Err(fault) = user_subscription(&live, &mut changes, &mut backoff).await {
            tracing::warn!(%fault, "user subscription lost, subscribing again");
        }
        backoff.wait().await;
    }
}

async fn user_subscription(
    live: &Live,
    changes: &mut UnboundedReceiver<Uuid>,
    backoff: &mut Backoff,
) -> Result<(), Fault> {
    let mut subscription = live.store.subscribe(&[]).await?;
    let followed = live.fanout.followed().all();
    for users in followed.chunks(CHANNEL_BATCH) {
        follow_batch(live, &mut subscription, users).await?;
    }
    backoff.reset();
    let mut changed = Vec::with_capacity(CHANNEL_BATCH);
    let mut pings = tokio::time::interval(PING_INTERVAL);
    loop {
        tokio::select! {
            message = subscription.next() => {
                let Some((channel, text)) = message else {
                    return Err(Fault::retryable("follow_users", "the connection ended"));
                };
                let user = channel.rsplit(':').next().and_then(|it| it.parse().ok());
                match (user, PersonalUpdate::parse(&text)) {
                    (Some(user), Some(update)) => live.fanout.notify(user, update),
                    (Some(user), None) if text == BAN_MESSAGE => live.fanout.ban(user),
                    _ => {}
                }
            }
            _ = changes.recv_many(&mut changed, CHANNEL_BATCH) => {
                let (added, removed): (Vec<Uuid>, Vec<Uuid>) =
                    changed.drain(..).partition(|user| live.fanout.followed().contains(*user));
                if !removed.is_empty() {
                    subscription.drop(&removed.into_iter().map(personal_channel).collect::<Vec<_>>()).await?;
                }
                if !added.is_empty() {
                    follow_batch(live, &mut subscription, &added).await?;
                }
            }
            _ = pings.tick() => subscription.ping().await?,
        }
    }
}

/// Subscribes to users' channels, then closes the connections of those already banned; the channel reports later bans.
async fn follow_batch(live: &Live, subscription: &mut Subscription, users: &[Uuid]) -> Result<(), Fault> {
    let channels: Vec<String> = users.iter().copied().map(personal_channel).collect();
    subscription.add(&channels).await?;
    for user in live.store.banned_among(users).await? {
        live.fanout.ban(user);
    }
    Ok(())
}

/// Publishes boards that the throttle held back, as soon as it allows.
pub async fn flush_forever(live: Arc<Live>) {
    loop {
        live.hub.flush_requested().await;
        loop {
            match live.store.flush(live.config.live.publish_interval_ms).await {
                Ok(0) => break,
                Ok(due_ms) => tokio::time::sleep(Duration::from_millis(due_ms)).await,
                Err(fault) => {
                    tracing::debug!(%fault, "flush failed, the next poll retries it");
                    break;
                }
            }
        }
    }
}

/// Checks at once and then regularly that Redis evicts no keys: `maxmemory-policy` is checked at start-up, but can change later. The result
/// goes to the log, `/readyz` and a metric. Awards continue: stopping them would not restore evicted keys, and one command fixes the policy.
pub async fn watch_eviction_forever(live: Arc<Live>, interval: Duration) {
    loop {
        match live.store.evicts().await {
            Ok(found) => {
                let evicted_before = live.health.set_eviction(found.is_some());
                live.metrics.redis_evicts.set(found.is_some().into());
                match found {
                    Some((server, policy)) => tracing::error!(
                        %server,
                        policy,
                        "redis may evict scores and bans: set maxmemory-policy to noeviction, then run laurel verify"
                    ),
                    None if evicted_before => {
                        tracing::warn!("redis evicts no keys any more: run laurel verify")
                    }
                    None => {}
                }
            }
            // `poll` logs that Redis does not answer.
            Err(fault) => tracing::debug!(%fault, "maxmemory-policy check failed"),
        }
        tokio::time::sleep(interval).await;
    }
}
