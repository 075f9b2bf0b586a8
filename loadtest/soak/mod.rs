//! An hour of mixed load at a steady pace, or as many `MINUTES` as are asked for: whether answers stay as fast, memory as small and the
//! stores as tidy as they were in the beginning.

mod crowd;
mod player;
mod plot;
mod report;
mod row;
mod tables;

use std::sync::Arc;
use std::time::Duration;

use hdrhistogram::Histogram;
use parking_lot::Mutex;
use sqlx::{Connection, PgConnection};
use tokio_util::sync::CancellationToken;

use crate::players::pace;
use crate::server::Server;
use player::Player;
use row::{Minute, Row};
use tables::Table;

pub use report::HEADING;

const AWARDS_PER_SECOND: usize = 300;
const READS_PER_SECOND: usize = 300;
const PLAYERS: usize = 2000;
const LISTENERS: usize = 200;
/// No window is ever full; what is kept for a while is gone after a few minutes, so that it is soon as much as it will be.
const SETTINGS: &[(&str, &str)] = &[
    ("LAUREL_LIMITS__UPDATES_PER_MINUTE", "0"),
    ("LAUREL_LIMITS__INITS_PER_MINUTE", "0"),
    ("LAUREL_LIMITS__STARTS_PER_HOUR", "0"),
    ("LAUREL_LIMITS__REQUESTS_PER_MINUTE_PER_IP", "0"),
    ("LAUREL_LIMITS__CONNECTIONS_PER_IP", "0"),
    ("LAUREL_LIMITS__SOCKETS_PER_IP", "0"),
    ("LAUREL_LIMITS__REQUESTS_PER_MINUTE_PER_USER", "0"),
    ("LAUREL_TOKENS__SESSION_SECONDS", "240"),
];
const PLOT: &str = "loadtest/plots/soak.svg";

/// Everything that was measured.
pub struct Soak {
    rows: Vec<Row>,
    /// When the load had ended, and after VACUUM.
    before: Vec<Table>,
    after: Vec<Table>,
    verified: String,
}

/// What was answered since the last row.
#[derive(Clone)]
pub struct Tally {
    /// Microseconds from the moment when a request was due to its answer.
    awards: Histogram<u64>,
    reads: Histogram<u64>,
    failed: u64,
}

impl Default for Tally {
    fn default() -> Self {
        Self { awards: Histogram::new(3).unwrap(), reads: Histogram::new(3).unwrap(), failed: 0 }
    }
}

pub async fn measure() -> Soak {
    let minutes: usize = std::env::var("MINUTES").map_or(60, |it| it.parse().unwrap());
    let server = Server::start(PLAYERS, SETTINGS);
    let tally = Arc::new(Mutex::new(Tally::default()));
    let mut players = Vec::new();
    for (place, login) in server.logins().into_iter().enumerate() {
        players.push(Arc::new(tokio::sync::Mutex::new(Player::come(&server.address, login, place).await)));
    }
    let ended = CancellationToken::new();
    let crowd = crowd::gather(&server.address, &server.logins()[..LISTENERS], &ended);
    let playing = tokio::spawn(play(players, tally.clone(), minutes));
    let url = format!("postgres:///laurel?host={}/data/postgres&user=laurel", server.folder().display());
    let mut database = PgConnection::connect(&url).await.unwrap();

    let (mut rows, mut minute) = (Vec::new(), Minute::begin(&server, &mut database).await);
    for number in 1..=minutes {
        tokio::time::sleep_until(minute.ends()).await;
        let answered = std::mem::take(&mut *tally.lock());
        let (row, next) = minute.end(&server, &mut database, answered, &crowd).await;
        eprintln!("minute {number} of {minutes}: {row}");
        rows.push(row);
        minute = next;
    }
    playing.await.unwrap();
    ended.cancel();
    server.wait_until_written().await;
    let before = tables::look(&mut database).await;
    sqlx::raw_sql("VACUUM").execute(&mut database).await.unwrap();
    let after = tables::look(&mut database).await;
    database.close().await.unwrap();
    let soak = Soak { rows, before, after, verified: server.verify() };
    std::fs::create_dir_all("loadtest/plots").unwrap();
    std::fs::write(PLOT, plot::draw(&soak.rows)).unwrap();
    soak
}

/// Every request is due at a moment that was settled before, whatever became of the others.
async fn play(players: Vec<Arc<tokio::sync::Mutex<Player>>>, tally: Arc<Mutex<Tally>>, minutes: usize) {
    let per_second = AWARDS_PER_SECOND + READS_PER_SECOND;
    let mut due = pace(minutes * 60 * per_second, per_second);
    let mut number = 0;
    while let Some(hlc_us) = due.recv().await {
        let (player, tally) = (players[number / 2 % players.len()].clone(), tally.clone());
        let award = number % 2 == 0;
        number += 1;
        tokio::spawn(async move {
            let mut player = player.lock().await;
            let done = if award { player.win().await } else { player.look().await };
            let took = hlc_us.elapsed().as_micros() as u64;
            let mut tally = tally.lock();
            let times = if award { &mut tally.awards } else { &mut tally.reads };
            times.record(took).unwrap();
            tally.failed += u64::from(!done);
        });
    }
    // Those that were due last are answered by then, or count as late.
    tokio::time::sleep(Duration::from_secs(2)).await;
}
