//! Honest players at a steady pace. Every award is due at a moment that was settled before, whatever became of the others,
//! and is timed from that moment on: a node that stalls cannot hide it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::sync::{Mutex, mpsc};

use crate::http::{self, Connection};
use crate::server::Server;

/// Awards, each an `init` and a `finalize`.
pub const PER_SECOND: usize = 200;
/// Players who take turns, each on a connection of its own: few awards each, so that no default limit meets them.
pub const PLAYERS: usize = 400;

/// What they met with.
pub struct Played {
    /// Awards that were not made, since one of the two requests was not answered with 200.
    pub failed: usize,
    /// Microseconds from the moment when an award was due to its answer.
    pub times: Histogram<u64>,
    /// The part of it before the first byte was sent: what the crowded machine costs the measuring.
    pub late: Histogram<u64>,
}

struct Player {
    login: String,
    connection: Mutex<Connection>,
}

/// Lets so many players win so many awards, each player from an address of its own if they are not to share one.
pub async fn play(server: &Server, logins: &[String], awards: usize, address: fn(usize) -> IpAddr) -> Played {
    let mut players = Vec::with_capacity(logins.len());
    for (place, login) in logins.iter().enumerate() {
        let connection = Connection::open_from(address(place), server.socket_address()).await;
        players.push(Arc::new(Player { login: login.clone(), connection: connection.into() }));
    }
    let (mut due, mut under_way) = (pace(awards, PER_SECOND), Vec::with_capacity(awards));
    while let Some(hlc_us) = due.recv().await {
        let player = players[under_way.len() % players.len()].clone();
        under_way.push(tokio::spawn(async move { player.win(hlc_us).await }));
    }
    let (mut times, mut late) = (Histogram::new(3).unwrap(), Histogram::new(3).unwrap());
    let mut failed = 0;
    for award in under_way {
        let (sent, answered, won) = award.await.unwrap();
        failed += usize::from(!won);
        late.record(sent.as_micros() as u64).unwrap();
        times.record(answered.as_micros() as u64).unwrap();
    }
    Played { failed, times, late }
}

/// Tells when each award is due. A thread of its own sleeps more exactly than the runtime's timer, which knows whole
/// milliseconds.
pub fn pace(awards: usize, per_second: usize) -> mpsc::UnboundedReceiver<Instant> {
    let (tell, due) = mpsc::unbounded_channel();
    let (every, started) = (Duration::from_secs(1) / per_second as u32, Instant::now());
    std::thread::spawn(move || {
        for number in 1..=awards as u32 {
            let hlc_us = started + every * number;
            std::thread::sleep(hlc_us.saturating_duration_since(Instant::now()));
            // Nobody may want to know any more.
            if tell.send(hlc_us).is_err() {
                return;
            }
        }
    });
    due
}

impl Player {
    /// How long after it was due an award was begun, and answered, and whether it was made.
    async fn win(&self, due: Instant) -> (Duration, Duration, bool) {
        let mut connection = self.connection.lock().await;
        let sent = due.elapsed();
        let won = win(&mut connection, &self.login).await.is_ok();
        (sent, due.elapsed(), won)
    }
}

async fn win(connection: &mut Connection, login: &str) -> Result<String, String> {
    let issued = connection.try_post("/api/v1/actions/init", login, r#"{"actionType":"watch_ad"}"#).await?;
    let token = http::field(&issued, "antiSpamToken").unwrap();
    let body = format!(r#"{{"antiSpamToken":"{token}"}}"#);
    connection.try_post("/api/v1/actions/finalize", login, &body).await
}
