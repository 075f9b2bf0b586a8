//! The ledger: from the outbox to Postgres, and from Postgres to Redis.

mod acknowledge;
mod audit;
mod boards;
mod chain;
mod connections;
mod dead_letters;
mod game_sessions;
mod leader;
mod limits;
mod migrate;
mod older_copy;
mod partitions;
mod periods;
mod rebuild;
mod redis_failover;
mod reshard;
mod rollup;
mod seed;
mod split_periods;
mod verify;
mod write;

use laurel::app::App;
use laurel::ledger::{Origin, write_batch};
use laurel::store::Entry;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::harness::{Player, RedisClient, TestNode, TestStores, eventually, laurel_command};
use crate::scripts::number;

/// Runs the program. Returns whether it succeeded, and its output.
async fn run_laurel(stores: &TestStores, arguments: &[&str]) -> (bool, String) {
    let mut command = laurel_command(&stores.config);
    command.args(arguments);
    command.env("LAUREL_ACTIONS__FILE", &stores.config.actions.file);
    command.env("LAUREL_BOARDS__FILE", &stores.config.boards.file);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    (output.status.success(), text)
}

/// The words of an outbox entry, in the order in which `src/store/outbox/entry.rs` declares them.
const WORDS: [&str; 20] = [
    "kind", "id", "user", "action", "points", "before", "after", "hlc_us", "at", "issued", "expires",
    "token", "session", "next", "actions", "held", "once", "trace", "result", "proof",
];

/// An outbox entry that awards a user's first 10 points, forged with write access to Redis. `changes` replaces words.
fn forged_entry(user: Uuid, hlc_us: i64, changes: &[(&str, &str)]) -> String {
    let (id, user, at) = (Uuid::new_v4().to_string(), user.to_string(), (hlc_us / 1000).to_string());
    let hlc_us = hlc_us.to_string();
    let word = |name: &str| match changes.iter().find(|it| it.0 == name) {
        Some((_, word)) => *word,
        None => match name {
            "kind" => "awarded",
            "id" => &id,
            "user" => &user,
            "action" => "watch_ad",
            "points" | "after" => "10",
            "before" | "held" => "0",
            "hlc_us" => &hlc_us,
            "at" | "issued" | "expires" => &at,
            "token" => "hash",
            _ => "",
        },
    };
    format!("1 {}", WORDS.map(word).join(" "))
}

/// Appends an entry to the outbox. Returns its stream id.
async fn append(redis_client: &mut RedisClient, entry: &str) -> String {
    redis_client.query_words(&["XADD", "outbox", "*", "entry", entry]).await
}

/// Writes a batch of outbox entries to the ledger, as the leader does.
async fn write(app: &App, connection: &mut PgConnection, entries: &[Entry]) {
    write_batch(connection, &app.receipts, app.store.shard_count(), entries, Origin::Outbox).await.unwrap();
}

/// Inserts a user with the number and name that `scripts::award` uses for the id.
pub async fn insert_user(app: &App) -> Uuid {
    let id = app.clock.new_id();
    insert_user_with_id(app, id).await;
    id
}

/// Like `insert_user`, with this id.
pub async fn insert_user_with_id(app: &App, id: Uuid) {
    sqlx::query(
        "INSERT INTO users (id, number, username, email, password_hash) OVERRIDING SYSTEM VALUE
         VALUES ($1, $2, $3, $3 || '@example.com', '!')",
    )
    .bind(id)
    .bind(number(id) as i64)
    .bind(format!("u{}", number(id)))
    .execute(&app.database)
    .await
    .unwrap();
}

/// A player's score in Postgres.
async fn ledger_score(node: &TestNode, player: &Player) -> i64 {
    let query = sqlx::query_scalar("SELECT score FROM users WHERE id = $1").bind(player.identity.user);
    query.fetch_one(&node.app.database).await.unwrap()
}

/// Waits until the board is open in a later epoch.
pub async fn wait_for_epoch_after(node: &TestNode, epoch: i64) {
    eventually("the board to be open again", async || {
        let state = node.app.store.poll_state().await.ok()?;
        (state.open && node.app.store.known_epochs() > epoch).then_some(())
    })
    .await;
}
