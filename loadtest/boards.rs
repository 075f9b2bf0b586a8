//! Boards with a million players: what an entry takes in Redis, how long a load from the ledger takes, and while awards arrive a read and
//! the close of a period, and how soon an award is on all boards.

use std::fmt;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp, Unit};
use laurel::clock::Clock;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::client::Connection;
use crate::drive::flow::Step;
use crate::drive::job::Job;
use crate::drive::players::Players;
use crate::drive::schedule::Pace;
use crate::growth::population::Population;
use crate::results;

pub const HEADING: &str = "## Boards";
pub const PLAYERS: u64 = 1_000_000;

/// `global`, the built-in boards, and a fifth.
const BOARDS: &str = "
[[board]]
id = \"daily\"
period = \"day\"
[[board]]
id = \"weekly\"
period = \"week\"
[[board]]
id = \"monthly\"
period = \"month\"
[[board]]
id = \"rounds\"
measure = \"count\"
period = \"week\"
";
const IDS: [&str; 5] = ["global", "daily", "weekly", "monthly", "rounds"];
const CONNECTIONS: usize = 64;
/// Of each part.
const SECONDS: f64 = 30.0;
const READ_INTERVAL: Duration = Duration::from_millis(10);
const CHECK_INTERVAL: Duration = Duration::from_millis(5);
/// A period with all players is created this long before its end, and awards begin to arrive this long before it.
const EVENT: SignedDuration = SignedDuration::from_secs(90);
const BEFORE_END: SignedDuration = SignedDuration::from_secs(5);
/// Sampled players, who play in no other part.
const SAMPLED: usize = 200;

/// The results.
pub struct Boards {
    players: u64,
    loaded_in: Duration,
    bytes_per_entry: f64,
    /// What was measured while awards arrived.
    parts: Vec<(&'static str, Samples)>,
}

/// Samples that were taken while awards arrived.
struct Samples {
    awards_per_second: f64,
    /// Of the awards.
    award_p99_ms: f64,
    /// Sorted.
    seconds: Vec<f64>,
}

pub async fn measure(players: u64) -> Boards {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), BOARDS).unwrap();
    let path = file.path().to_str().unwrap();
    let population = Population::create(players, &[("LAUREL_BOARDS__FILE", path)]).await;
    let mut connection = Connection::open(&population.server.address).await;
    let started = Instant::now();
    let mut is_loaded = async || {
        let boards: Value = serde_json::from_str(&connection.get("/api/v1/boards").await).unwrap();
        let boards = boards["boards"].as_array().unwrap();
        boards.iter().all(|board| board["period"]["players"].as_u64() == Some(players))
    };
    crate::wait_until(&mut is_loaded).await;
    let loaded_in = started.elapsed();
    eprintln!("the boards are loaded after {} s more", loaded_in.as_secs());
    let bytes_per_entry = entry_bytes(&population).await;
    let page = async |connection: &mut Connection, place: usize| {
        let user = std::str::from_utf8(population.players.id(place)).unwrap();
        let around = format!("/api/v1/boards/weekly/entries?limit=1&around={user}");
        let entry: Value = serde_json::from_str(&connection.get(&around).await).unwrap();
        let cursor = entry["next"].as_str().unwrap_or_default().to_owned();
        let path = format!("/api/v1/boards/weekly/entries?limit=25&cursor={cursor}");
        Some(timed(connection, &path).await)
    };
    let around = async |connection: &mut Connection, place: usize| {
        let user = std::str::from_utf8(population.players.id(place)).unwrap();
        Some(timed(connection, &format!("/api/v1/boards/weekly/entries?limit=25&around={user}")).await)
    };
    let visible = async |connection: &mut Connection, place: usize| {
        let place = population.players.count() - 1 - place % SAMPLED;
        Some(seconds_until_visible(connection, &population.players, place).await)
    };
    // Neither store is read for it, so its delays are those of the machine.
    let in_memory =
        async |connection: &mut Connection, _| Some(timed(connection, "/api/v1/scores/leaderboard").await);
    let mut parts = Vec::new();
    let mut keep = |name, samples: Samples| {
        let samples_ms = |share| percentile_ms(&samples.seconds, share);
        eprintln!("{name}: p50 {:.1} ms, p99 {:.1} ms", samples_ms(0.5), samples_ms(0.99));
        parts.push((name, samples));
    };
    keep(
        "the top 10, from the node's memory",
        while_awards_arrive(&population, 1000.0, READ_INTERVAL, in_memory).await,
    );
    keep("a page of 25", while_awards_arrive(&population, 1000.0, READ_INTERVAL, page).await);
    keep("25 around a player", while_awards_arrive(&population, 1000.0, READ_INTERVAL, around).await);
    let visible = while_awards_arrive(&population, 2000.0, CHECK_INTERVAL, visible).await;
    keep("an award until all boards count it", visible);
    let ends_at = create_event(&population).await;
    let close = async |connection: &mut Connection, sample: usize| match sample {
        0 => Some(seconds_to_close(connection, ends_at).await),
        _ => None,
    };
    keep("the close of a period", while_awards_arrive(&population, 1000.0, CHECK_INTERVAL, close).await);
    Boards { players, loaded_in, bytes_per_entry, parts }
}

/// Creates a board that counts everything and ends soon, and waits until shortly before that. Returns the end.
async fn create_event(population: &Population) -> Timestamp {
    let place = population.players.count() - 1;
    let user = Uuid::try_parse_ascii(population.players.id(place)).unwrap();
    let grant = sqlx::query("UPDATE users SET role = 'admin' WHERE id = $1").bind(user);
    grant.execute(&mut population.database().await).await.unwrap();
    let admin = std::str::from_utf8(population.players.login(place)).unwrap();
    let ends_at = Clock::default().now().round(Unit::Second).unwrap() + EVENT;
    let period = json!({ "from": "2020-01-01T00:00:00", "until": ends_at.strftime("%FT%T").to_string() });
    let board = json!({ "id": "event", "period": period, "settle": "0s" });
    let mut connection = Connection::open(&population.server.address).await;
    connection.post("/api/admin/boards", admin, &board.to_string()).await.unwrap();
    tokio::time::sleep((ends_at - BEFORE_END).duration_since(Clock::default().now()).unsigned_abs()).await;
    // The node has closed the idle connection.
    let mut connection = Connection::open(&population.server.address).await;
    let board: Value = serde_json::from_str(&connection.get("/api/v1/boards/event").await).unwrap();
    assert!(board["period"]["players"].as_u64() >= Some(population.count), "loaded in time: {board}");
    ends_at
}

/// Waits until the event is closed, and returns the seconds since its end.
async fn seconds_to_close(connection: &mut Connection, ends_at: Timestamp) -> f64 {
    loop {
        let page: Value =
            serde_json::from_str(&connection.get("/api/v1/boards/event/periods").await).unwrap();
        if page["periods"][0]["state"] == "closed" {
            return Clock::default().now().duration_since(ends_at).as_secs_f64();
        }
        tokio::time::sleep(READ_INTERVAL).await;
    }
}

/// Bytes in Redis of an entry of the weekly board.
async fn entry_bytes(population: &Population) -> f64 {
    let mut redis = population.server.redis().await;
    let keys: Vec<String> =
        redis::cmd("KEYS").arg("leaderboard:{weekly}:*").query_async(&mut redis).await.unwrap();
    let mut bytes = 0;
    for key in keys {
        let mut usage = redis::cmd("MEMORY");
        usage.arg("USAGE").arg(key).arg("SAMPLES").arg(0);
        bytes += usage.query_async::<u64>(&mut redis).await.unwrap();
    }
    bytes as f64 / population.count as f64
}

async fn timed(connection: &mut Connection, path: &str) -> f64 {
    let started = Instant::now();
    connection.get(path).await;
    started.elapsed().as_secs_f64()
}

/// Samples one after the other while other players make awards at a rate.
async fn while_awards_arrive(
    population: &Population,
    per_second: f64,
    pause: Duration,
    sample: impl AsyncFn(&mut Connection, usize) -> Option<f64>,
) -> Samples {
    let job = Job {
        name: "awards",
        steps: vec![Step::Update],
        address: population.server.socket_address(),
        players: &population.players,
        server: None,
        pace: Pace::Open(per_second),
        connections: CONNECTIONS,
        seconds: SECONDS,
        max_requests: u64::MAX,
        subscribers: 0,
        changes: 0.0,
        includes_ledger: false,
        command: "make bench-boards",
    };
    let mut connection = Connection::open(&population.server.address).await;
    let mut seconds = Vec::new();
    let record = std::thread::scope(|scope| {
        let generator = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(job.measure())
        });
        let runtime = tokio::runtime::Handle::current();
        tokio::task::block_in_place(|| {
            runtime.block_on(async {
                for place in 0.. {
                    if generator.is_finished() {
                        break;
                    }
                    seconds.extend(sample(&mut connection, place).await);
                    tokio::time::sleep(pause).await;
                }
            });
        });
        generator.join().unwrap()
    });
    seconds.sort_by(f64::total_cmp);
    let awards = record.of(Step::Update);
    let awards_per_second = awards.count as f64 / record.took_seconds;
    Samples { awards_per_second, award_p99_ms: awards.ms.p99, seconds }
}

/// Seconds from the response of an award until all boards count it.
async fn seconds_until_visible(connection: &mut Connection, players: &Players, place: usize) -> f64 {
    let login = std::str::from_utf8(players.login(place)).unwrap();
    let user = std::str::from_utf8(players.id(place)).unwrap();
    let lookup = format!(r#"{{"userIds":["{user}"]}}"#);
    let path = |board: &str| format!("/api/v1/boards/{board}/entries/lookup");
    let mut scores = Vec::new();
    for board in IDS {
        scores.push(score(&connection.post(&path(board), login, &lookup).await.unwrap()));
    }
    let start = connection.post("/api/game/start", login, "{}").await.unwrap();
    let start: Value = serde_json::from_str(&start).unwrap();
    let token = start["data"]["actionToken"].as_str().unwrap();
    let update = format!(r#"{{"actionToken":"{token}","actionType":"complete_level","points":20}}"#);
    connection.post("/api/score/update", login, &update).await.unwrap();
    let started = Instant::now();
    for (board, before) in IDS.into_iter().zip(scores) {
        while score(&connection.post(&path(board), login, &lookup).await.unwrap()) == before {
            tokio::time::sleep(CHECK_INTERVAL).await;
        }
    }
    started.elapsed().as_secs_f64()
}

fn score(lookup: &str) -> Option<i64> {
    serde_json::from_str::<Value>(lookup).unwrap()["entries"][0]["score"].as_i64()
}

/// The value below which this share of sorted samples is, in ms.
fn percentile_ms(samples: &[f64], share: f64) -> f64 {
    samples[((samples.len() - 1) as f64 * share) as usize] * 1e3
}

impl fmt::Display for Boards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADING}\n\n{}\n", results::provenance("make bench-boards"))?;
        let Self { players, loaded_in, bytes_per_entry, parts } = self;
        writeln!(
            f,
            "{players} players on each of {} boards. Loading all of them from the ledger: {:.1} s. An entry of the weekly board takes \
             {bytes_per_entry:.0} bytes of Redis.\n",
            IDS.len(),
            loaded_in.as_secs_f64()
        )?;
        writeln!(
            f,
            "| while awards arrive | awards/s | award p99 ms | samples | p50 ms | p99 ms | maximum ms |"
        )?;
        writeln!(f, "|---|---|---|---|---|---|---|")?;
        for (name, samples) in parts {
            let Samples { awards_per_second, award_p99_ms, seconds } = samples;
            let [p50, p99, max] = [0.5, 0.99, 1.0].map(|share| percentile_ms(seconds, share));
            let count = seconds.len();
            writeln!(
                f,
                "| {name} | {awards_per_second:.0} | {award_p99_ms:.1} | {count} | {p50:.1} | {p99:.1} | {max:.1} |"
            )?;
        }
        Ok(())
    }
}
