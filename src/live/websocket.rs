//! `/api/v1/ws`: one task a socket. It holds three slots, board, news and status, each with the newest state only.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket};
use serde_json::json;
use tokio::time::{Instant, sleep_until};

use super::{Frame, Seat, Status};
use crate::account::Identity;
use crate::app::App;
use crate::clock::rfc3339;
use crate::store::PersonalNews;

/// Close codes: RFC 6455's, and ours from 4000.
const SERVICE_RESTART: u16 = 1012;
const LOGIN_OVER: u16 = 4401;
const TOO_SLOW: u16 = 4008;

/// Why a socket ends.
enum End {
    /// The client went, or said nothing any more.
    Gone,
    /// We close it, with a code and a reason.
    Close(u16, String),
}

/// Serves one socket to its end.
pub async fn serve(app: Arc<App>, caller: Identity, mut socket: WebSocket, seat: Seat) {
    app.metrics.sockets_websocket.inc();
    let mut session = Session { app: &app, caller: &caller, write_timeout: write_timeout(&app) };
    let end = session.run(&mut socket).await;
    if let Err(End::Close(code, reason)) = end {
        app.metrics.socket_closed(code);
        let frame = CloseFrame { code, reason: reason.into() };
        let _ = session.send(&mut socket, Message::Close(Some(frame))).await;
    }
    app.metrics.sockets_websocket.dec();
    drop(seat);
}

fn write_timeout(app: &App) -> Duration {
    Duration::from_millis(app.config.live.write_timeout_ms)
}

struct Session<'a> {
    app: &'a Arc<App>,
    caller: &'a Identity,
    write_timeout: Duration,
}

impl Session<'_> {
    async fn run(&mut self, socket: &mut WebSocket) -> Result<(), End> {
        let app = self.app;
        let mut following = app.hub.follow_user(self.caller.user);
        let mut board = app.hub.follow_board();
        let mut status = app.health.follow();
        let ping_every = Duration::from_secs(app.config.live.ping_seconds);
        let login_ends = Instant::now() + self.login_left();
        let drained = app.drain_delay();
        tokio::pin!(drained);
        let mut ping_at = Instant::now() + ping_every;
        let mut heard = true;

        self.send_text(socket, connected(self.caller)).await?;
        if status.borrow_and_update().degraded {
            let now = *status.borrow();
            self.send_text(socket, status_event(now)).await?;
        }
        loop {
            tokio::select! {
                Ok(()) = board.changed() => {
                    let frame: Arc<Frame> = board.borrow_and_update().clone();
                    self.send_text(socket, frame.event()).await?;
                }
                Ok(()) = following.news.changed() => {
                    let news = *following.news.borrow_and_update();
                    if news.banned {
                        return Err(End::Close(LOGIN_OVER, "this account is banned".into()));
                    }
                    if let Some(award) = news.award {
                        self.send_text(socket, personal(self.caller, award)).await?;
                    }
                }
                Ok(()) = status.changed() => {
                    let now = *status.borrow_and_update();
                    self.send_text(socket, status_event(now)).await?;
                }
                message = socket.recv() => match message {
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(End::Gone),
                    // Clients only listen; what they say shows that they live. Pings are answered by the library.
                    Some(Ok(_)) => heard = true,
                },
                () = sleep_until(ping_at) => {
                    if !heard {
                        return Err(End::Gone);
                    }
                    heard = false;
                    ping_at = Instant::now() + ping_every;
                    self.send(socket, Message::Ping(Default::default())).await?;
                }
                () = sleep_until(login_ends) => {
                    return Err(End::Close(LOGIN_OVER, "the login has run out".into()));
                }
                () = &mut drained => {
                    let retry_ms = rand::random_range(0..2000);
                    return Err(End::Close(SERVICE_RESTART, format!("retry in {retry_ms} ms")));
                }
            }
        }
    }

    fn login_left(&self) -> Duration {
        let left_ms = self.caller.expires_at_s * 1000 - self.app.clock.now_ms();
        Duration::from_millis(left_ms.max(0) as u64)
    }

    async fn send_text(&self, socket: &mut WebSocket, text: Utf8Bytes) -> Result<(), End> {
        self.send(socket, Message::Text(text)).await
    }

    /// Sends and flushes. A client that takes nothing for too long is closed; until then the newest states wait in their
    /// slots.
    async fn send(&self, socket: &mut WebSocket, message: Message) -> Result<(), End> {
        match tokio::time::timeout(self.write_timeout, socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(End::Gone),
            Err(_) => Err(End::Close(TOO_SLOW, "nothing was read for too long".into())),
        }
    }
}

fn connected(caller: &Identity) -> Utf8Bytes {
    let data =
        json!({ "message": "Connected successfully", "userId": caller.user, "username": caller.username });
    json!({ "event": "connect_success", "data": data }).to_string().into()
}

fn personal(caller: &Identity, news: PersonalNews) -> Utf8Bytes {
    let data = json!({
        "userId": caller.user,
        "score": news.score,
        "rank": news.rank,
        "pointsEarned": news.points,
        "previousRank": news.rank_before,
    });
    json!({ "event": "score_personal", "data": data }).to_string().into()
}

fn status_event(status: Status) -> Utf8Bytes {
    let data = json!({ "degraded": status.degraded, "asOf": rfc3339(status.as_of_ms) });
    json!({ "event": "status", "data": data }).to_string().into()
}
