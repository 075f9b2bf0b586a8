//! Honest players at a steady pace. Every award has a due time that was fixed before, and is timed from it: a node that stalls cannot
//! hide it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::sync::{Mutex, mpsc};

use crate::client::{self, Connection};
use crate::server::Server;

/// Awards, each an `init` and a `finalize`.
pub const PER_SECOND: usize = 200;
/// Players take turns, each on a connection: so many that no default limit is reached.
pub const PLAYERS: usize = 400;

/// The honest players' awards.
pub struct Played {
    /// Awards where one of the two requests did not get a 200.
    pub failed: usize,
    /// Microseconds from an award's due time to its response.
    pub times: Histogram<u64>,
    /// Microseconds from an award's due time until its first byte was sent: the crowded machine's part.
    pub late: Histogram<u64>,
}

struct Player {
    login: String,
    connection: Mutex<Connection>,
}

/// Lets players make this many awards, each player from the address for its place.
pub async fn play(server: &Server, logins: &[String], awards: usize, address: fn(usize) -> IpAddr) -> Played {
    let mut players = Vec::with_capacity(logins.len());
    for (place, login) in logins.iter().enumerate() {
        let connection = Connection::open_from(address(place), server.socket_address()).await;
        players.push(Arc::new(Player { login: login.clone(), connection: connection.into() }));
    }
    let (mut due_times, mut running) = (due_times(awards), Vec::with_capacity(awards));
    while let Some(due) = due_times.recv().await {
        let player = players[running.len() % players.len()].clone();
        running.push(tokio::spawn(async move { player.award(due).await }));
    }
    let (mut times, mut late) = (Histogram::new(3).unwrap(), Histogram::new(3).unwrap());
    let mut failed = 0;
    for award in running {
        let (sent_after, done_after, is_acknowledged) = award.await.unwrap();
        failed += usize::from(!is_acknowledged);
        late.record(sent_after.as_micros() as u64).unwrap();
        times.record(done_after.as_micros() as u64).unwrap();
    }
    Played { failed, times, late }
}

/// Sends each award's due time when it is reached. A thread sleeps more precisely than the runtime's timer, which counts whole
/// milliseconds.
fn due_times(awards: usize) -> mpsc::UnboundedReceiver<Instant> {
    let (sender, receiver) = mpsc::unbounded_channel();
    let (every, started) = (Duration::from_secs(1) / PER_SECOND as u32, Instant::now());
    std::thread::spawn(move || {
        for number in 1..=awards as u32 {
            let due = started + every * number;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            if sender.send(due).is_err() {
                return;
            }
        }
    });
    receiver
}

impl Player {
    /// Returns how long after its due time an award was sent and done, and whether it was acknowledged.
    async fn award(&self, due: Instant) -> (Duration, Duration, bool) {
        let mut connection = self.connection.lock().await;
        let sent_after = due.elapsed();
        let is_acknowledged = award(&mut connection, &self.login).await.is_ok();
        (sent_after, due.elapsed(), is_acknowledged)
    }
}

async fn award(connection: &mut Connection, login: &str) -> Result<String, String> {
    let issued = connection.post("/api/v1/actions/init", login, r#"{"actionType":"watch_ad"}"#).await?;
    let token = client::field(&issued, "antiSpamToken").unwrap();
    let body = format!(r#"{{"antiSpamToken":"{token}"}}"#);
    connection.post("/api/v1/actions/finalize", login, &body).await
}
