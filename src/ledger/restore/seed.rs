//! Creates users with scores for a test or a demo: in the ledger first, then in Redis.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use data_encoding::HEXLOWER;
use jiff::Timestamp;
use rand::RngExt;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::account::{LoginKeys, User};
use crate::db::sql_fault;
use crate::error::Fault;
use crate::ledger::Ledger;
use crate::ledger::chain::checkpoint::{self, Checkpoint};
use crate::ledger::chain::{Head, Link};
use crate::ledger::restore::top_list::top_of_shard;
use crate::store::Standing;

/// Users per COPY and per round trip to Redis.
const BATCH: u64 = 10_000;

/// Options of `laurel seed`.
#[derive(Clone, Debug)]
pub struct SeedOptions {
    /// Number of users to create.
    pub users: u64,
    /// Scores are random, from 0 to this.
    pub max_score: u64,
    /// File for the users' login JWTs, one per line.
    pub tokens: Option<PathBuf>,
}

/// Adds users to the existing ones. `progress` receives the number of users created so far.
///
/// # Errors
/// A store is unavailable, or the file cannot be written. Users that were created stay, with complete scores.
pub async fn seed(
    ledger: &Ledger,
    logins: &LoginKeys,
    options: &SeedOptions,
    progress: impl Fn(u64),
) -> Result<(), Fault> {
    let cannot_write = |error| Fault::new("write_tokens", error);
    let mut tokens = match &options.tokens {
        // Each line is a valid login, so only the owner may read the file.
        Some(path) => {
            let mut options = File::options();
            options.create(true).write(true).truncate(true).mode(0o600);
            Some(BufWriter::new(options.open(path).map_err(cannot_write)?))
        }
        None => None,
    };
    // Clock values before now, one per user: later awards rank behind them on ties.
    let mut hlc_us = ledger.store.now_us().await? - options.users as i64;
    // Advances the boards' clocks: an open board must never be behind the ledger, also not before the scores below are in Redis.
    for shard in 0..ledger.store.shard_count() {
        ledger.store.refill_top(shard, &[], ledger.config.live.publish_interval_ms, None).await?;
    }
    let mut done = 0;
    while done < options.users {
        let count = BATCH.min(options.users - done);
        let added = add(ledger, options.max_score, count, hlc_us).await;
        let users = added.map_err(|error| sql_fault("seed_users", error))?;
        hlc_us += count as i64;
        let scored = users.iter().filter(|user| user.score > 0);
        let totals: Vec<Standing> = scored.map(|user| Standing::of(user.id, user.score as u64)).collect();
        if !totals.is_empty() {
            ledger.store.add_totals(&totals).await?;
        }
        if let Some(file) = &mut tokens {
            let now_s = ledger.clock.now_s();
            for user in &users {
                writeln!(file, "{}", logins.sign(user, now_s)?).map_err(cannot_write)?;
            }
        }
        done += count;
        progress(done);
    }
    if let Some(mut file) = tokens {
        file.flush().map_err(cannot_write)?;
    }
    let connection = ledger.database.acquire().await;
    let mut connection = connection.map_err(|error| sql_fault("read_top_candidates", error))?;
    for shard in 0..ledger.store.shard_count() {
        let top = top_of_shard(ledger, &mut connection, shard).await?;
        ledger.store.refill_top(shard, &top, ledger.config.live.publish_interval_ms, None).await?;
    }
    Ok(())
}

/// Adds users and their ledger entries in one transaction. Their password hash is invalid, so nobody can log in as them.
async fn add(
    ledger: &Ledger,
    max_score: u64,
    count: u64,
    first_hlc_us: i64,
) -> Result<Vec<User>, sqlx::Error> {
    let mut transaction = ledger.database.begin().await?;
    let mut head = Head::lock(&mut transaction).await?;
    let names = free_names(&mut transaction, count as usize).await?;
    let user = |username| User {
        id: ledger.clock.new_id(),
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

    let history = entries(ledger, &mut head, &users, first_hlc_us);
    copy(&mut transaction, HISTORY, history).await?;
    head.save(&mut transaction).await?;
    let checkpoint = checkpoint::write_if_due(&mut transaction, &ledger.receipts, &head).await?;

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

/// Unused names: the series from the number of users on, without names that players chose. The caller has locked the ledger's head, so two
/// seeds cannot take the same names.
async fn free_names(connection: &mut PgConnection, count: usize) -> Result<Vec<String>, sqlx::Error> {
    let newest = sqlx::query_scalar("SELECT coalesce(max(number), 0) FROM users").fetch_one(&mut *connection);
    let mut next: i64 = newest.await?;
    let mut free = Vec::with_capacity(count);
    while free.len() < count {
        let end = next + (count - free.len()) as i64;
        let names: Vec<String> = (next..end).map(|index| seed_name(index as u64)).collect();
        next = end;
        let taken: HashSet<String> =
            sqlx::query_scalar("SELECT lower(username) FROM users WHERE lower(username) = ANY($1)")
                .bind(names.iter().map(|name| name.to_lowercase()).collect::<Vec<_>>())
                .fetch_all(&mut *connection)
                .await?
                .into_iter()
                .collect();
        free.extend(names.into_iter().filter(|name| !taken.contains(&name.to_lowercase())));
    }
    Ok(free)
}

const HISTORY: &str =
    "COPY score_history (event_id, user_id, action_type, points_earned, action_token_hash, score_before, score_after, hlc_us,
                         created_at, seq, hash) FROM STDIN";

/// The rows of `score_history`, chained. An entry's time is its clock value.
fn entries(ledger: &Ledger, head: &mut Head, users: &[User], first_hlc_us: i64) -> String {
    let mut text = String::with_capacity(users.len() * 240);
    for (hlc_us, User { id, score, .. }) in (first_hlc_us..).zip(users).filter(|(_, user)| user.score > 0) {
        let link = Link {
            event_id: ledger.clock.new_id(),
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
        let (event, hash) = (link.event_id, HEXLOWER.encode(&hash));
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

/// Words of seeded usernames, which look like names that players choose.
const FIRST: [&str; 32] = [
    "Amber", "Bold", "Brave", "Bright", "Calm", "Clever", "Cosmic", "Daring", "Eager", "Frosty", "Gentle",
    "Golden", "Happy", "Hidden", "Jolly", "Keen", "Lucky", "Lunar", "Merry", "Mighty", "Misty", "Noble",
    "Proud", "Swift", "Quiet", "Rapid", "Rusty", "Shiny", "Silent", "Solar", "Sunny", "Witty",
];
const SECOND: [&str; 32] = [
    "Turtle", "Falcon", "Osprey", "Ferret", "Walrus", "Condor", "Dragon", "Panda", "Badger", "Heron",
    "Eagle", "Jaguar", "Parrot", "Puffin", "Owl", "Hawk", "Raven", "Tiger", "Crane", "Koala", "Salmon",
    "Moose", "Fox", "Cobra", "Lynx", "Bison", "Bear", "Yak", "Gecko", "Comet", "Wolf", "Otter",
];

/// The name at `index` in a series without duplicates. Neighbors differ in both words. Once all 1024 pairs are used, names get a number.
fn seed_name(index: u64) -> String {
    let (first, second) = (FIRST.len() as u64, SECOND.len() as u64);
    let (round, pair) = (index / (first * second), index % (first * second));
    let (head, tail) = (FIRST[(pair % first) as usize], SECOND[((pair / first + pair) % second) as usize]);
    if round == 0 { format!("{head}{tail}") } else { format!("{head}{tail}{round}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::Username;

    #[test]
    fn names_are_short_and_distinct() {
        let mut all = HashSet::new();
        for index in 0..200_000 {
            let name = seed_name(index);
            assert!(name.len() <= 15 && Username::parse(&name).is_ok(), "{name}");
            assert!(all.insert(name.to_lowercase()), "{name} is a duplicate");
        }
        // The first 9 characters tell any two of them apart on a board.
        let pairs: HashSet<String> =
            (0..1024).map(|index| seed_name(index).chars().take(9).collect()).collect();
        assert_eq!(pairs.len(), 1024);
        for index in 0..10_000 {
            let (name, next) = (seed_name(index), seed_name(index + 1));
            assert_ne!(name[..3], next[..3], "{name} {next}");
        }
    }
}
