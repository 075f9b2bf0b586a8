//! Users with scores for a test or a demo: into the ledger first, as everything, then into Redis from there.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use jiff::Timestamp;
use rand::RngExt;
use sqlx::PgConnection;
use uuid::Uuid;

use super::best::best;
use super::chain::{Head, Link, hex};
use super::checkpoint::{self, Checkpoint};
use super::seed_names::seed_name;
use super::sql_fault;
use crate::account::User;
use crate::app::App;
use crate::error::Fault;
use crate::store::Standing;

/// Users a COPY and a round trip to Redis.
const BATCH: u64 = 10_000;

/// What to seed.
#[derive(Clone, Debug)]
pub struct SeedOptions {
    /// How many users.
    pub users: u64,
    /// Scores are drawn from 0 to this; 0: everybody has none.
    pub max_score: u64,
    /// Where a login JWT goes, one a line.
    pub tokens: Option<PathBuf>,
}

/// Adds users beside those that are there. `progress` hears how many are done.
///
/// # Errors
/// A store is away, or the file cannot be written; users that were added stay, and their scores are whole.
pub async fn seed(app: &App, options: &SeedOptions, progress: impl Fn(u64)) -> Result<(), Fault> {
    let cannot_write = |error| Fault::new("write the tokens", error);
    let mut tokens = match &options.tokens {
        // Each line is a login: for its owner's eyes alone.
        Some(path) => {
            let mut options = File::options();
            options.create(true).write(true).truncate(true).mode(0o600);
            Some(BufWriter::new(options.open(path).map_err(cannot_write)?))
        }
        None => None,
    };
    // Moments before now: whoever has reached a score already is ahead of a seeded user no longer than it takes to seed.
    let mut hlc_us = app.store.now_us().await? - options.users as i64;
    // An open board is never behind the ledger, also not between these users' rows there and their scores in Redis.
    for shard in 0..app.store.shard_count() {
        app.store.refill_top(shard, &[], app.config.live.publish_interval_ms, None).await?;
    }
    let mut done = 0;
    while done < options.users {
        let count = BATCH.min(options.users - done);
        let added = add(app, options.max_score, count, hlc_us).await;
        let users = added.map_err(|error| sql_fault("add seeded users", error))?;
        hlc_us += count as i64;
        let scored = users.iter().filter(|it| it.score > 0);
        let totals: Vec<Standing> = scored.map(|it| Standing::of(it.id, it.score as u64)).collect();
        if !totals.is_empty() {
            app.store.add_totals(&totals).await?;
        }
        if let Some(file) = &mut tokens {
            let now_s = app.clock.now_s();
            for user in &users {
                writeln!(file, "{}", app.logins.sign(user, now_s)?).map_err(cannot_write)?;
            }
        }
        done += count;
        progress(done);
    }
    if let Some(mut file) = tokens {
        file.flush().map_err(cannot_write)?;
    }
    let mut connection = app.database.acquire().await.map_err(|error| sql_fault("read the best", error))?;
    for shard in 0..app.store.shard_count() {
        let best = best(app, &mut connection, shard).await?;
        app.store.refill_top(shard, &best, app.config.live.publish_interval_ms, None).await?;
    }
    Ok(())
}

/// Adds users and their ledger entries in one transaction, and returns them. Their password is no hash, so nobody can log in as them.
async fn add(app: &App, max_score: u64, count: u64, first_hlc_us: i64) -> Result<Vec<User>, sqlx::Error> {
    let mut transaction = app.database.begin().await?;
    let mut head = Head::take(&mut transaction).await?;
    let names = free_names(&mut transaction, count as usize).await?;
    let user = |username| User {
        id: app.clock.new_id(),
        number: 0,
        username,
        role: "player".into(),
        score: rand::rng().random_range(0..=max_score) as i64,
    };
    let mut users: Vec<User> = names.into_iter().map(user).collect();
    let mut text = String::with_capacity(users.len() * 120);
    for User { id, username, score, .. } in &users {
        let _ = writeln!(text, "{id}\t{username}\t{username}@seed.invalid\t!\t{score}");
    }
    copy(&mut transaction, "COPY users (id, username, email, password_hash, score) FROM STDIN", text).await?;

    let history = entries(app, &mut head, &users, first_hlc_us);
    copy(&mut transaction, HISTORY, history).await?;
    head.save(&mut transaction).await?;
    let checkpoint = checkpoint::write_if_due(&mut transaction, &app.receipts, &head).await?;

    let ids: Vec<Uuid> = users.iter().map(|it| it.id).collect();
    let numbers: Vec<i64> = sqlx::query_scalar(
        "SELECT u.number FROM unnest($1::uuid[]) WITH ORDINALITY AS it (id, place) JOIN users u USING (id) ORDER BY place",
    )
    .bind(ids)
    .fetch_all(&mut *transaction)
    .await?;
    for (user, number) in users.iter_mut().zip(numbers) {
        user.number = number;
    }
    transaction.commit().await?;
    checkpoint.iter().for_each(Checkpoint::log);
    Ok(users)
}

/// Names that nobody has: those of the series from the number of users on, without what players have chosen for themselves. Who adds
/// seeded users holds the ledger's head meanwhile, so no two take the same.
async fn free_names(connection: &mut PgConnection, count: usize) -> Result<Vec<String>, sqlx::Error> {
    let newest = sqlx::query_scalar("SELECT coalesce(max(number), 0) FROM users").fetch_one(&mut *connection);
    let mut next: i64 = newest.await?;
    let mut free = Vec::with_capacity(count);
    while free.len() < count {
        let end = next + (count - free.len()) as i64;
        let names: Vec<String> = (next..end).map(|it| seed_name(it as u64)).collect();
        next = end;
        let taken: HashSet<String> =
            sqlx::query_scalar("SELECT lower(username) FROM users WHERE lower(username) = ANY($1)")
                .bind(names.iter().map(|it| it.to_lowercase()).collect::<Vec<_>>())
                .fetch_all(&mut *connection)
                .await?
                .into_iter()
                .collect();
        free.extend(names.into_iter().filter(|it| !taken.contains(&it.to_lowercase())));
    }
    Ok(free)
}

const HISTORY: &str =
    "COPY score_history (event_id, user_id, action_type, points_earned, action_token_hash, score_before, score_after, hlc_us,
                         created_at, seq, hash) FROM STDIN";

/// The rows of `score_history`, chained. An entry's time is its moment.
fn entries(app: &App, head: &mut Head, users: &[User], first_hlc_us: i64) -> String {
    let mut text = String::with_capacity(users.len() * 240);
    for (hlc_us, User { id, score, .. }) in (first_hlc_us..).zip(users).filter(|(_, it)| it.score > 0) {
        let link = Link {
            event_id: app.clock.new_id(),
            user: *id,
            action: "seed",
            points: *score,
            token_hash: "",
            before: 0,
            after: *score,
            hlc_us,
            created_us: hlc_us,
            note: "",
        };
        let (seq, hash) = head.append(&link);
        let at = Timestamp::from_microsecond(hlc_us).unwrap_or_default();
        let (event, hash) = (link.event_id, hex(&hash));
        let _ =
            writeln!(text, "{event}\t{id}\tseed\t{score}\t\t0\t{score}\t{hlc_us}\t{at}\t{seq}\t\\\\x{hash}");
    }
    text
}

async fn copy(connection: &mut PgConnection, statement: &str, rows: String) -> Result<(), sqlx::Error> {
    let mut copy = connection.copy_in_raw(statement).await?;
    copy.send(rows.into_bytes()).await?;
    copy.finish().await.map(drop)
}
