//! Players who win awards at a steady pace, until they are told to stop. One of a hundred awards changes the board.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use hdrhistogram::Histogram;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::leader::Leader;
use crate::players;
use crate::session::Session;

pub const PER_SECOND: usize = 100;
pub const PLAYERS: usize = 100;

/// What they met with.
pub struct Won {
    /// Microseconds from the moment when an award was due to its answer.
    pub times: Histogram<u64>,
    /// Awards that were not acknowledged.
    pub failed: usize,
}

pub struct Awards {
    won: Arc<Mutex<Won>>,
    stop: CancellationToken,
    playing: JoinHandle<()>,
}

type Players = Vec<Arc<tokio::sync::Mutex<Session>>>;

impl Awards {
    /// The leader plays at the first of the nodes, the others at all of them.
    pub async fn begin(leader: &Leader, logins: &[String], nodes: &[&String]) -> Self {
        let mut players: Players = vec![Arc::new(leader.play(nodes[0]).await.into())];
        for (place, login) in logins.iter().enumerate().skip(1) {
            players.push(Arc::new(Session::start(nodes[place % nodes.len()], login).await.into()));
        }
        let (won, stop) = (Arc::new(Mutex::new(Won::none())), CancellationToken::new());
        let playing = tokio::spawn(play(players, won.clone(), stop.clone()));
        Self { won, stop, playing }
    }

    /// What was won until now; it is not counted again.
    pub fn so_far(&self) -> Won {
        std::mem::replace(&mut self.won.lock().unwrap(), Won::none())
    }

    /// Ends it, and says what was won meanwhile.
    pub async fn end(self) -> Won {
        self.stop.cancel();
        self.playing.await.unwrap();
        std::mem::replace(&mut self.won.lock().unwrap(), Won::none())
    }
}

/// Players take turns.
async fn play(players: Players, won: Arc<Mutex<Won>>, stop: CancellationToken) {
    let (mut due, mut under_way) = (players::pace(u32::MAX as usize, PER_SECOND), JoinSet::new());
    let mut turns = players.iter().cycle();
    while let Some(Some(hlc_us)) = stop.run_until_cancelled(due.recv()).await {
        let Some(player) = turns.next().cloned() else { return };
        under_way.spawn(win(player, hlc_us, won.clone()));
        while let Some(award) = under_way.try_join_next() {
            award.unwrap();
        }
    }
    under_way.join_all().await;
}

async fn win(player: Arc<tokio::sync::Mutex<Session>>, due: Instant, won: Arc<Mutex<Won>>) {
    let acknowledged = player.lock().await.win("watch_ad").await;
    let mut won = won.lock().unwrap();
    if acknowledged {
        won.times.record(due.elapsed().as_micros() as u64).unwrap();
    } else {
        won.failed += 1;
    }
}

impl Won {
    fn none() -> Self {
        Self { times: Histogram::new(3).unwrap(), failed: 0 }
    }
}
