//! The tasks that keep the hub true. None of them is given anything: each looks at Redis, and whatever it misses the next
//! look finds. They end only with the node.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use uuid::Uuid;

use super::{Board, Frame};
use crate::app::App;
use crate::error::Fault;
use crate::store::{
    BANNED_NEWS, BOARD_CHANNEL, BoardState, PersonalNews, Subscription, TRACE_CHANNEL, personal_channel,
};

/// A board that got lost on its way is found after so long.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// While Redis is away, it is looked for more often: its return is to be told within two seconds.
const LOOK_AGAIN: Duration = Duration::from_millis(250);
/// Bans are told again for so long, in case a look was late; telling them twice does no harm.
const BANS_AGAIN_MS: i64 = 5000;
/// A subscription that says nothing is asked for a sign of life.
const PING_EVERY: Duration = Duration::from_secs(5);
/// Channels a SUBSCRIBE.
const CHANNELS_AT_ONCE: usize = 512;

/// Looks once; the hub and the health know the rest.
///
/// # Errors
/// Redis is away.
pub async fn poll(app: &App) -> Result<(), Fault> {
    let known = app.hub.newest().version;
    let since_ms = app.health.looked_at_redis_ms() - BANS_AGAIN_MS;
    let mut look = app.store.poll(known, since_ms).await.inspect_err(|_| app.health.redis_away())?;
    note_writes(app).await.inspect_err(|_| app.health.redis_away())?;
    if look.ungathered {
        if app.store.gather_all(app.config.live.publish_interval_ms).await > 0 {
            app.hub.flush_later();
        }
        let banned = look.banned;
        look = BoardState { banned, ..app.store.poll(known, i64::MAX).await? };
    }
    for user in look.banned {
        app.fanout.ban(user);
    }
    if look.version > known && look.shows {
        app.hub.learn(&Arc::new(Frame::new(Board::read(look.version, &look.top)?)));
    }
    let newest = app.hub.newest();
    if newest.version <= look.published {
        // Its publication got lost.
        publish(app, Board::clone(&newest));
        if look.shows {
            app.health.holds_board();
        }
    } else if look.shows {
        // It is held back, and whoever should have published it by now may be gone.
        app.hub.flush_later();
    }
    if look.shows && look.version < known {
        let due_ms = app.store.raise_version(known, app.config.live.publish_interval_ms).await?;
        if due_ms > 0 {
            app.hub.flush_later();
        }
    }
    app.health.looked(look.open, look.outbox_at_most, look.at_ms, app.clock.now_ms());
    app.metrics.outbox_entries.set(look.outbox as i64);
    Ok(())
}

/// Looks whether Redis takes writes, and says so where that changed.
async fn note_writes(app: &App) -> Result<(), Fault> {
    let refusal = app.store.write_refusal().await?;
    let before = app.health.write_refusal(refusal.clone());
    match (refusal, before) {
        (refusal, before) if refusal == before => {}
        (Some(refusal), _) => tracing::error!(
            refusal,
            runbook = "LaurelAwardsRefused",
            "redis refuses writes, awards get 503 until it takes them"
        ),
        (None, _) => tracing::info!("redis takes writes again"),
    }
    Ok(())
}

/// Takes a published board; what was on its way with it is there.
fn publish(app: &App, board: Board) {
    app.ways.arrived(board.version);
    app.hub.publish(board);
}

/// Looks once a second.
pub async fn look_forever(app: Arc<App>) {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        while let Err(fault) = poll(&app).await {
            tracing::warn!(%fault, "Redis could not be looked at");
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}

/// Follows the board's channel.
pub async fn follow_board(app: Arc<App>) {
    let mut pause = Pause::default();
    loop {
        if let Err(fault) = board_session(&app, &mut pause).await {
            tracing::warn!(%fault, "the board's subscription starts again");
        }
        pause.wait().await;
    }
}

/// One connection's life: subscribed, then looked, so that nothing between the two is missed.
async fn board_session(app: &App, pause: &mut Pause) -> Result<(), Fault> {
    // What is traced is told only to who wants to know, and over the same connection, so that it comes before its board.
    let traced = app.traces.is_some().then(|| TRACE_CHANNEL.to_owned());
    let channels: Vec<String> = [BOARD_CHANNEL.to_owned()].into_iter().chain(traced).collect();
    let mut subscription = app.store.subscribe(&channels).await?;
    poll(app).await?;
    *pause = Pause::default();
    loop {
        match tokio::time::timeout(PING_EVERY, subscription.next()).await {
            Ok(Some((channel, text))) if channel == TRACE_CHANNEL => {
                if let Some(traces) = &app.traces {
                    app.ways.expect(traces, &text);
                }
            }
            Ok(Some((_, text))) => {
                let board = Board::read_publication(&text)?;
                app.metrics.board_lag(app.clock.now_ms() - board.changed_at_ms());
                publish(app, board);
                app.health.holds_board();
            }
            Ok(None) => return Err(Fault::retryable("follow the board", "the connection ended")),
            Err(_) => subscription.ping().await?,
        }
    }
}

/// Follows the channels of the users who have a socket here.
pub async fn follow_users(app: Arc<App>, mut turns: UnboundedReceiver<Uuid>) {
    let mut pause = Pause::default();
    loop {
        if let Err(fault) = users_session(&app, &mut turns, &mut pause).await {
            tracing::warn!(%fault, "the users' subscription starts again");
        }
        pause.wait().await;
    }
}

async fn users_session(
    app: &App,
    turns: &mut UnboundedReceiver<Uuid>,
    pause: &mut Pause,
) -> Result<(), Fault> {
    let mut subscription = app.store.subscribe(&[]).await?;
    let followed = app.fanout.followed().all();
    for users in followed.chunks(CHANNELS_AT_ONCE) {
        follow_some(app, &mut subscription, users).await?;
    }
    *pause = Pause::default();
    let mut turned = Vec::with_capacity(CHANNELS_AT_ONCE);
    let mut pings = tokio::time::interval(PING_EVERY);
    loop {
        tokio::select! {
            message = subscription.next() => {
                let Some((channel, text)) = message else {
                    return Err(Fault::retryable("follow users", "the connection ended"));
                };
                let user = channel.rsplit(':').next().and_then(|it| it.parse().ok());
                match (user, PersonalNews::parse(&text)) {
                    (Some(user), Some(news)) => app.fanout.tell(user, news),
                    (Some(user), None) if text == BANNED_NEWS => app.fanout.ban(user),
                    _ => {}
                }
            }
            _ = turns.recv_many(&mut turned, CHANNELS_AT_ONCE) => {
                let (come, gone): (Vec<Uuid>, Vec<Uuid>) = turned.drain(..).partition(|it| app.fanout.followed().has(*it));
                if !gone.is_empty() {
                    subscription.drop(&gone.into_iter().map(personal_channel).collect::<Vec<_>>()).await?;
                }
                if !come.is_empty() {
                    follow_some(app, &mut subscription, &come).await?;
                }
            }
            _ = pings.tick() => subscription.ping().await?,
        }
    }
}

/// Subscribes to users' channels, then closes the sockets of those who are banned by then: from here on the channel tells.
async fn follow_some(app: &App, subscription: &mut Subscription, users: &[Uuid]) -> Result<(), Fault> {
    let channels: Vec<String> = users.iter().copied().map(personal_channel).collect();
    subscription.add(&channels).await?;
    for user in app.store.banned_among(users).await? {
        app.fanout.ban(user);
    }
    Ok(())
}

/// Publishes boards that were held back, as soon as they may go out.
pub async fn flush_forever(app: Arc<App>) {
    loop {
        app.hub.flush_wanted().await;
        loop {
            match app.store.flush(app.config.live.publish_interval_ms).await {
                Ok(0) => break,
                Ok(due_ms) => tokio::time::sleep(Duration::from_millis(due_ms)).await,
                Err(fault) => {
                    tracing::debug!(%fault, "a flush failed; the next look finds the board");
                    break;
                }
            }
        }
    }
}

/// Full jitter from 50 ms to 2 s, for ever (AWS, "Exponential backoff and jitter").
struct Pause {
    max_ms: u64,
}

impl Default for Pause {
    fn default() -> Self {
        Self { max_ms: 50 }
    }
}

impl Pause {
    async fn wait(&mut self) {
        let ms = rand::random_range(0..=self.max_ms);
        tokio::time::sleep(Duration::from_millis(ms)).await;
        self.max_ms = (self.max_ms * 2).min(2000);
    }
}
