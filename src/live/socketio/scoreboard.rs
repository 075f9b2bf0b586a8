//! What Laurel says over Socket.IO (scoreboard-system.md, "WebSocket Events"): the board and a player's own news, as over
//! `/api/v1/ws`, in the game API's words.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

use super::{Connection, Heard, Kind, Packet};
use crate::account::{self, Identity};
use crate::app::App;
use crate::clock::rfc3339;
use crate::error::{Error, Refusal, Result};
use crate::live::engineio::{Engine, Settings, Wire};
use crate::live::{Seat, Status};
use crate::store::PersonalNews;

/// A client that has not joined by then is gone; Socket.IO's default.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(45);
/// Logins, and other namespaces, that one connection may try.
const MAX_TRIES: usize = 20;
/// Clients only listen.
const MAX_PAYLOAD_BYTES: usize = 16 * 1024;
/// Socket.IO's default.
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// The engine behind `/socket.io/`.
pub fn engine(app: &Arc<App>) -> Arc<Engine> {
    let live = &app.config.live;
    let settings = Settings {
        ping_interval: Duration::from_secs(live.ping_seconds),
        ping_timeout: PING_TIMEOUT,
        max_payload: MAX_PAYLOAD_BYTES,
        write_timeout: Duration::from_millis(live.write_timeout_ms),
        sid_prefix: if live.node_name.is_empty() { String::new() } else { format!("{}.", live.node_name) },
    };
    let app = Arc::downgrade(app);
    Engine::new(settings, move |socket| {
        let app = app.upgrade();
        async move {
            if let Some(app) = app {
                serve(&app, Connection::new(socket)).await;
            }
        }
    })
}

async fn serve(app: &Arc<App>, mut connection: Connection) {
    // Boxed, so that what a login may need, a look into Postgres at the most, is not held as long as the socket lives.
    let joined = tokio::time::timeout(CONNECT_TIMEOUT, Box::pin(join(app, &mut connection))).await;
    if let Ok(Some((caller, _seat))) = joined {
        app.metrics.sockets_socketio.inc();
        play(app, &caller, &mut connection).await;
        app.metrics.sockets_socketio.dec();
    }
}

/// Waits for a client with a good login. A bad one is refused and may try another.
async fn join(app: &App, connection: &mut Connection) -> Option<(Identity, Seat)> {
    for _ in 0..MAX_TRIES {
        let Heard::Connect { namespace, auth } = connection.next().await? else { return None };
        if namespace != "/" {
            connection.refuse(&namespace, json!({ "message": "Invalid namespace" }));
            continue;
        }
        match login(app, &auth, connection.address()).await {
            // With no seat left the transport is closed, so that the client comes back later.
            Ok(caller) => {
                let seat = app.seats.take(caller.user, connection.address())?;
                connection.accept("/", &Uuid::new_v4().simple().to_string());
                return Some((caller, seat));
            }
            // Nobody knows yet whether the login is good: as with no seat, the client comes back later.
            Err(Error::Fault(fault)) => {
                tracing::warn!(%fault, "a Socket.IO login could not be looked up");
                return None;
            }
            Err(Error::Refused(refusal)) => {
                let data = json!({ "code": refusal.code().as_str() });
                connection.refuse("/", json!({ "message": "Authentication failed", "data": data }));
            }
        }
    }
    None
}

/// `{token}`, with or without `Bearer `.
async fn login(app: &App, auth: &Value, from: IpAddr) -> Result<Identity> {
    let token = auth["token"].as_str().unwrap_or_default();
    let bare = token.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let token = bare.map_or(token, |(_, token)| token).trim();
    if token.is_empty() {
        return Err(Refusal::InvalidAccessToken.into());
    }
    let caller = account::admit(app, token, from).await?;
    // While Redis is away nobody can say; whoever is banned is disconnected when it is back.
    if app.store.is_banned(caller.user).await.unwrap_or(false) {
        Err(Refusal::Banned.into())
    } else {
        Ok(caller)
    }
}

/// Tells the newest of everything whenever the client has taken what came before.
async fn play(app: &Arc<App>, caller: &Identity, connection: &mut Connection) {
    let mut following = app.hub.follow_user(caller.user);
    let mut board = app.hub.follow_board();
    let mut status = app.health.follow();
    let left_ms = caller.expires_at_s * 1000 - app.clock.now_ms();
    let login_ends = Instant::now() + Duration::from_millis(left_ms.max(0) as u64);
    let drained = app.drain_delay();
    tokio::pin!(drained);
    let greeting = json!({
        "message": "Connected successfully", "userId": caller.number, "username": caller.username
    });
    connection.emit("connect_success", &greeting);
    connection.send_ready(Wire::Text(board.borrow_and_update().scoreboard_event()));
    let (mut new_board, mut new_news, mut new_status) = (false, false, status.borrow_and_update().degraded);
    loop {
        tokio::select! {
            Ok(()) = board.changed(), if !new_board => new_board = true,
            Ok(()) = following.news.changed(), if !new_news => {
                if following.news.borrow().banned {
                    connection.send(&Packet::new(Kind::Disconnect, "/", None), Vec::new());
                    return;
                }
                new_news = true;
            }
            Ok(()) = status.changed(), if !new_status => new_status = true,
            () = connection.idle(), if new_board || new_news || new_status => {
                if std::mem::take(&mut new_board) {
                    connection.send_ready(Wire::Text(board.borrow_and_update().scoreboard_event()));
                }
                if std::mem::take(&mut new_news) && let Some(award) = following.news.borrow_and_update().award {
                    connection.emit("score:personal", &personal(caller, award));
                }
                if std::mem::take(&mut new_status) {
                    connection.emit("status", &told(*status.borrow_and_update()));
                }
            }
            heard = connection.next() => match heard {
                Some(Heard::Connect { namespace, .. }) if namespace != "/" => {
                    connection.refuse(&namespace, json!({ "message": "Invalid namespace" }));
                }
                // Clients only listen; what they say is not answered.
                Some(Heard::Event { .. }) => {}
                _ => return,
            },
            () = sleep_until(login_ends) => {
                connection.send(&Packet::new(Kind::Disconnect, "/", None), Vec::new());
                return;
            }
            () = &mut drained => return,
        }
    }
}

fn personal(caller: &Identity, news: PersonalNews) -> Value {
    json!({
        "userId": caller.number,
        "score": news.score,
        "rank": news.rank,
        "pointsEarned": news.points,
        "previousRank": news.rank_before,
    })
}

fn told(status: Status) -> Value {
    json!({ "degraded": status.degraded, "asOf": rfc3339(status.as_of_ms) })
}
