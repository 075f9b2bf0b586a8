//! The hash chain and its signed checkpoints reveal every change of the ledger.

use std::sync::Arc;

use laurel::app::App;
use laurel::ledger::Mismatch;
use laurel::store::Entry;
use sqlx::Executor;
use uuid::Uuid;

use super::{insert_user, write};
use crate::harness::{TestStores, ledger_mismatches};

/// Awards points to two users in turn. Returns the outbox entries.
async fn outbox_entries(app: &App, awards: u64) -> Vec<Entry> {
    laurel::ledger::await_board(&app.ledger, |_| ()).await.unwrap();
    let users = [insert_user(app).await, insert_user(app).await];
    for award in 0..awards {
        crate::scripts::award(&app.store, users[award as usize % 2], 10).await;
    }
    let mut reader = app.store.outbox_reader().await.unwrap();
    reader.read(1000, 0).await.unwrap().0
}

/// Writes a ledger of eight entries.
async fn write_ledger(stores: &TestStores) -> Arc<App> {
    let app = stores.build_app().await;
    let entries = outbox_entries(&app, 8).await;
    write(&app, &mut app.database.acquire().await.unwrap(), &entries).await;
    assert_eq!(ledger_mismatches(&app).await, []);
    app
}

async fn event_id(app: &App, seq: i64) -> Uuid {
    let query = sqlx::query_scalar("SELECT event_id FROM score_history WHERE seq = $1").bind(seq);
    query.fetch_one(&app.database).await.unwrap()
}

/// The mismatches of the chain, without those of the users whose entries changed.
async fn chain_mismatches(app: &App) -> Vec<Mismatch> {
    let mut found = ledger_mismatches(app).await;
    found.retain(|mismatch| mismatch.subject.parse::<Uuid>().is_err());
    found
}

#[tokio::test]
async fn changed_entries_are_reported() {
    let stores = TestStores::new().await;
    let app = write_ledger(&stores).await;
    let third = event_id(&app, 3).await;
    for change in [
        "action_type = 'another'",
        "points_earned = points_earned + 1, score_after = score_after + 1",
        "created_at = created_at + interval '1 microsecond'",
        "note = '{}'",
        "hash = ''",
    ] {
        let mut transaction = app.database.begin().await.unwrap();
        transaction.execute("CREATE TABLE saved AS SELECT * FROM score_history WHERE seq = 3").await.unwrap();
        transaction.commit().await.unwrap();
        let update = format!("UPDATE score_history SET {change} WHERE seq = 3");
        app.database.execute(sqlx::AssertSqlSafe(update)).await.unwrap();
        let found = chain_mismatches(&app).await;
        assert_eq!(found.len(), 1, "{change}: {found:?}");
        assert_eq!(found[0].subject, format!("entry 3 (event {third})"));
        app.database.execute("DELETE FROM score_history WHERE seq = 3").await.unwrap();
        app.database.execute("INSERT INTO score_history SELECT * FROM saved").await.unwrap();
        app.database.execute("DROP TABLE saved").await.unwrap();
    }
    // With a changed hash, the next entry does not match either.
    app.database.execute("UPDATE score_history SET hash = sha256(hash) WHERE seq = 3").await.unwrap();
    let names: Vec<String> = chain_mismatches(&app).await.into_iter().map(|it| it.subject).collect();
    let fourth = event_id(&app, 4).await;
    assert_eq!(names, [format!("entry 3 (event {third})"), format!("entry 4 (event {fourth})")]);
}

#[tokio::test]
async fn removed_entries_are_reported() {
    let stores = TestStores::new().await;
    let app = write_ledger(&stores).await;
    let names = async || chain_mismatches(&app).await.into_iter().map(|it| it.subject).collect::<Vec<_>>();
    app.database.execute("DELETE FROM score_history WHERE seq IN (3, 5, 6)").await.unwrap();
    assert_eq!(names().await, ["entry 3", "entries 5 to 6"]);
    app.database.execute("DELETE FROM score_history WHERE seq = 8").await.unwrap();
    assert_eq!(names().await, ["entry 3", "entries 5 to 6", "entry 8"]);
}

#[tokio::test]
async fn inserted_entries_are_reported() {
    let stores = TestStores::new().await;
    let app = write_ledger(&stores).await;
    let third = event_id(&app, 3).await;
    let copy_entry = async |id: u128, seq: i64, shard: i16| {
        let insert = "
            INSERT INTO score_history (event_id, user_id, action_type, points_earned, action_token_hash, score_before,
                                       score_after, hlc_us, created_at, held, note, shard, seq, hash)
            SELECT $1, user_id, action_type, points_earned, action_token_hash, score_before, score_after, hlc_us, created_at,
                   held, note, $2, $3, hash FROM score_history WHERE event_id = $4";
        let insert = sqlx::query(insert).bind(Uuid::from_u128(id)).bind(shard).bind(seq).bind(third);
        insert.execute(&app.database).await.unwrap();
    };
    copy_entry(u128::MAX, 3, 0).await;
    copy_entry(1, 0, 0).await;
    copy_entry(2, 9, 0).await;
    copy_entry(3, 4, 1).await;
    let mut names: Vec<String> = chain_mismatches(&app).await.into_iter().map(|it| it.subject).collect();
    names.sort();
    let duplicate = format!("entry 3 (event {})", Uuid::max());
    let strays = [1, 2, 3].map(|id| format!("event {}", Uuid::from_u128(id)));
    assert_eq!(
        names,
        [vec![duplicate; 3], strays.to_vec()].concat(),
        "it has the number of another entry, a wrong hash, and no spent token"
    );
}

/// Recomputes all hashes, as an attacker with write access to Postgres can.
const REHASH: &str = "
    DO $$
    DECLARE
        entry RECORD;
        last BYTEA := decode(repeat('00', 32), 'hex');
    BEGIN
        FOR entry IN SELECT * FROM score_history ORDER BY seq LOOP
            last := sha256(last || int8send(entry.seq) || uuid_send(entry.event_id) || uuid_send(entry.user_id)
                || int8send(octet_length(entry.action_type)) || convert_to(entry.action_type, 'UTF8') || int8send(entry.points_earned)
                || int8send(octet_length(entry.action_token_hash)) || convert_to(entry.action_token_hash, 'UTF8')
                || int8send(entry.score_before) || int8send(entry.score_after) || int8send(entry.hlc_us)
                || int8send((extract(epoch FROM entry.created_at) * 1000000)::bigint) || int8send(0));
            UPDATE score_history SET hash = last WHERE event_id = entry.event_id;
            UPDATE ledger_heads SET seq = entry.seq, hash = last;
        END LOOP;
    END $$";

#[tokio::test]
async fn a_recomputed_chain_without_the_key_is_reported() {
    let stores = TestStores::new().await;
    let app = write_ledger(&stores).await;
    app.database.execute(REHASH).await.unwrap();
    assert_eq!(chain_mismatches(&app).await, [], "rows that are hashed as documented match");

    app.database.execute("UPDATE score_history SET action_type = 'another' WHERE seq = 3").await.unwrap();
    app.database.execute(REHASH).await.unwrap();
    let is_checkpoint =
        |found: &[Mismatch]| found.len() == 1 && found[0].subject == "the checkpoint at entry 8";
    assert!(is_checkpoint(&chain_mismatches(&app).await), "the chain is consistent but not signed");
    app.database
        .execute("UPDATE ledger_checkpoints SET hash = (SELECT hash FROM score_history WHERE seq = 8)")
        .await
        .unwrap();
    assert!(is_checkpoint(&chain_mismatches(&app).await), "the checkpoint was changed");
    let other_config =
        laurel::config::load([("JWT_SECRET".into(), "another secret, ".repeat(3).into())]).unwrap();
    let other_keys = laurel::receipt::ReceiptKeys::new(&other_config.auth).unwrap();
    let forged = other_keys.sign_checkpoint(&serde_json::json!({})).unwrap();
    sqlx::query("UPDATE ledger_checkpoints SET signature = $1")
        .bind(forged)
        .execute(&app.database)
        .await
        .unwrap();
    assert!(is_checkpoint(&chain_mismatches(&app).await), "the checkpoint was signed by an unknown key");
    app.database.execute("DELETE FROM ledger_checkpoints").await.unwrap();
    assert_eq!(chain_mismatches(&app).await[0].subject, "the checkpoints");
}

#[tokio::test]
async fn a_truncated_chain_is_reported() {
    let stores = TestStores::new().await;
    let app = write_ledger(&stores).await;
    app.database.execute("DELETE FROM score_history WHERE seq > 6").await.unwrap();
    app.database.execute(REHASH).await.unwrap();
    let found = chain_mismatches(&app).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].subject, "the checkpoint at entry 8");
}

#[tokio::test]
async fn a_batch_delivered_twice_is_chained_once() {
    let stores = TestStores::new().await;
    let app = stores.build_app().await;
    let mut entries = outbox_entries(&app, 9).await;
    let mut database = app.database.acquire().await.unwrap();
    write(&app, &mut database, &entries[..9]).await;
    write(&app, &mut database, &entries).await;
    entries.reverse();
    write(&app, &mut database, &entries).await;
    let doubled = [entries.clone(), entries].concat();
    write(&app, &mut database, &doubled).await;
    let head: i64 =
        sqlx::query_scalar("SELECT seq FROM ledger_heads").fetch_one(&mut *database).await.unwrap();
    assert_eq!(head, 9);
    assert_eq!(ledger_mismatches(&app).await, []);
}

#[tokio::test]
async fn batches_on_two_connections_make_one_chain() {
    let stores = TestStores::new().await;
    let app = stores.build_app().await;
    let entries = outbox_entries(&app, 40).await;
    let write = async |entries: &[Entry]| {
        for some in entries.chunks(7) {
            let mut database = app.database.acquire().await.unwrap();
            write(&app, &mut database, some).await;
        }
    };
    futures::join!(write(&entries), write(&entries[20..]), write(&entries[..60]));
    let chained: (i64, i64) = sqlx::query_as("SELECT count(*), max(seq) FROM score_history")
        .fetch_one(&app.database)
        .await
        .unwrap();
    assert_eq!(chained, (40, 40));
    assert_eq!(chain_mismatches(&app).await, []);
}
