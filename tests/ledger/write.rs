//! From the outbox to Postgres.

use laurel::ledger::{Origin, write_batch};
use laurel::store::Entry;
use serde_json::{Value, json};
use sqlx::Executor;
use uuid::Uuid;

use super::{forged_entry, insert_user, ledger_score, write};
use crate::harness::{TestStores, assert_ledger_matches, ledger_mismatches};
use crate::scripts::{award, user};

#[tokio::test]
async fn an_attempt_is_one_row() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let ada = node.register("ada").await;
    let token = node.issue_token(&ada, "watch_ad").await;
    node.wait_for_ledger().await;
    let open: (bool, bool, i64) =
        sqlx::query_as("SELECT completed_at IS NULL, token_hash IS NULL, score_value FROM user_action")
            .fetch_one(&node.app.database)
            .await
            .unwrap();
    assert_eq!(open, (true, true, 10));

    // Clients may send U+0000 and the six characters of its escape.
    let sent = json!({ "watched": "the whole\u{0} ad", "k\u{0}": ["\\u0000", "\\\u{0}"] });
    assert_eq!(node.finalize(&ada, &token, sent).await.status, 200);
    node.wait_for_ledger().await;
    let (is_complete, hash, proof): (bool, String, Value) = sqlx::query_as(
        "SELECT completed_at >= created_at AND expires_at > completed_at AND refused_at IS NULL, token_hash, proof_of_work
         FROM user_action",
    )
    .fetch_one(&node.app.database)
    .await
    .unwrap();
    assert!(is_complete);
    assert_eq!(hash, laurel::crypto::sha256_hex(&[token.as_bytes()]));
    let stored = json!({ "watched": "the whole\\u0000 ad", "k\\u0000": ["\\u0000", "\\\\u0000"] });
    assert_eq!(proof, stored, "jsonb has no U+0000");
    let row: (i64, i64, i64, String) = sqlx::query_as(
        "SELECT score_before, points_earned, score_after, action_token_hash FROM score_history",
    )
    .fetch_one(&node.app.database)
    .await
    .unwrap();
    assert_eq!(row, (0, 10, 10, hash));
    assert_eq!(ledger_score(&node, &ada).await, 10);
}

#[tokio::test]
async fn an_entry_delivered_twice_counts_once() {
    let stores = TestStores::new().await;
    let app = stores.build_app().await;
    laurel::ledger::await_board(&app.ledger, |_| ()).await.unwrap();
    let user = insert_user(&app).await;
    award(&app.store, user, 10).await;
    award(&app.store, user, 5).await;
    let mut reader = app.store.outbox_reader().await.unwrap();
    let (mut entries, _) = reader.read(100, 0).await.unwrap();
    let mut writer = app.database.acquire().await.unwrap();
    // A node dies after the write, before it acknowledges. Another node writes the entries again, in another order.
    write(&app, &mut writer, &entries).await;
    entries.reverse();
    write(&app, &mut writer, &entries).await;
    for entry in &entries {
        write(&app, &mut writer, std::slice::from_ref(entry)).await;
    }
    let sums: (i64, i64, i64) = sqlx::query_as(
        "SELECT (SELECT score FROM users), (SELECT sum(points_earned)::bigint FROM score_history),
                (SELECT count(*) FROM user_action WHERE completed_at IS NOT NULL)",
    )
    .fetch_one(&app.database)
    .await
    .unwrap();
    assert_eq!(sums, (15, 15, 2));
    app.store.ack(&entries).await.unwrap();
    assert_ledger_matches(&stores).await;
}

/// Held points that are approved, others that are voided, and others that are still held. Each entry in turn is a dead letter, which is
/// written last.
#[tokio::test]
async fn the_first_decision_after_held_points_decides_about_them() {
    let stores = TestStores::with_shards(1).await;
    let app = stores.build_app().await;
    let mut writer = app.database.acquire().await.unwrap();
    let start_us = app.store.now_us().await.unwrap();
    let words: [&[(&str, &str)]; 5] = [
        &[("held", "1")],
        &[("kind", "approved"), ("token", "")],
        &[("held", "1"), ("points", "20"), ("before", "10"), ("after", "30")],
        &[
            ("kind", "voided"),
            ("action", "void"),
            ("token", ""),
            ("points", "-20"),
            ("before", "30"),
            ("proof", r#"{"actor":"root","reason":"cheats"}"#),
        ],
        &[("held", "1"), ("before", "10"), ("after", "20")],
    ];
    for late in 0..=words.len() {
        let user = insert_user(&app).await;
        let forge = |(hlc_us, words): (i64, &&[(&str, &str)])| {
            Entry::parse(0, "1-0", forged_entry(user, hlc_us, words).as_bytes()).unwrap()
        };
        let entries: Vec<Entry> = (start_us + 10 * late as i64..).zip(&words).map(forge).collect();
        let mut in_order = entries.clone();
        let dead_letter: Vec<Entry> = in_order.splice(late..entries.len().min(late + 1), []).collect();
        write(&app, &mut writer, &in_order).await;
        write_batch(&mut writer, &app.receipts, 1, &dead_letter, Origin::DeadLetter).await.unwrap();
        // An older copy of Redis delivers them again.
        write(&app, &mut writer, &entries).await;
        let void = entries[3].id;
        for (index, held, voided_by) in
            [(0, false, None), (2, false, Some(void)), (3, false, None), (4, true, None)]
        {
            let marks: (bool, Option<Uuid>) =
                sqlx::query_as("SELECT held, voided_by FROM score_history WHERE event_id = $1")
                    .bind(entries[index].id)
                    .fetch_one(&app.database)
                    .await
                    .unwrap();
            assert_eq!(marks, (held, voided_by), "entry {index}, the dead letter is {late}");
        }
        // Without the voided award, the ledger could not take all its points from the total.
        let score = sqlx::query_scalar("SELECT score FROM users WHERE id = $1").bind(user);
        assert_eq!(score.fetch_one(&app.database).await.ok(), Some(20_i64), "the dead letter is {late}");
    }
    let corrections = async || -> Vec<String> {
        let sql = "SELECT action || ' ' || actor || ' ' || reason FROM board_corrections";
        sqlx::query_scalar(sql).fetch_all(&app.database).await.unwrap()
    };
    assert_eq!(corrections().await, ["void root cheats"; 6], "one for each void");
    assert_eq!(ledger_mismatches(&app).await, []);

    // The batch of a void is rolled back.
    let user = insert_user(&app).await;
    let forge = |changes: &[(&str, &str)]| {
        Entry::parse(0, "1-0", forged_entry(user, start_us + 1000, changes).as_bytes()).unwrap()
    };
    let batch = [forge(words[3]), forge(&[("after", "9")])];
    write_batch(&mut writer, &app.receipts, 1, &batch, Origin::Outbox).await.unwrap_err();
    assert_eq!(corrections().await.len(), 6);

    let details_after = async |change: &'static str| {
        app.database.execute(change).await.unwrap();
        ledger_mismatches(&app).await.into_iter().map(|found| found.detail).collect::<Vec<String>>()
    };
    let mark =
        "UPDATE score_history SET voided_by = user_id WHERE hlc_us = (SELECT max(hlc_us) FROM score_history)";
    assert_eq!(details_after(mark).await, ["marks entries of 10 points, but their user has no such void"]);
    let unmark = "UPDATE score_history SET voided_by = NULL";
    let found = details_after(unmark).await;
    assert!(
        found.len() == 6 && found.iter().all(|detail| detail.ends_with("the entries that it marks have 0")),
        "{found:?}"
    );
}

#[tokio::test]
async fn a_user_with_a_history_cannot_be_deleted() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let database = &node.app.database;
    let ada = node.register("ada").await;
    node.award(&ada, "watch_ad").await;
    node.wait_for_ledger().await;
    let delete = async |user: Uuid| {
        let result = sqlx::query("DELETE FROM users WHERE id = $1").bind(user).execute(database).await;
        result
            .map(|done| done.rows_affected())
            .map_err(|error| error.as_database_error().unwrap().code().unwrap().into_owned())
    };
    assert_eq!(delete(ada.identity.user).await, Err("23503".to_owned()));
    let change = sqlx::query("UPDATE users SET id = gen_random_uuid() WHERE id = $1").bind(ada.identity.user);
    change.execute(database).await.unwrap_err();

    let eve = node.register("eve").await;
    assert_eq!(delete(eve.identity.user).await, Ok(1), "a user without a history can be deleted");
}

#[tokio::test]
async fn only_acknowledged_entries_leave_the_outbox() {
    let stores = TestStores::new().await;
    let store = stores.open_store().await;
    award(&store, user(1), 10).await;
    let mut reader = store.outbox_reader().await.unwrap();
    let (entries, unreadable) = reader.read(10, 0).await.unwrap();
    assert_eq!((entries.len(), unreadable.len()), (2, 0));
    assert_eq!(entries[0].award, None);
    let (before, after, hlc_us) = entries[1].award.unwrap();
    assert_eq!((before, after), (0, 10));
    assert!(hlc_us > 0);
    assert!(reader.read(10, 0).await.unwrap().0.is_empty(), "an entry is read once");
    assert_eq!(store.ack(&entries[..1]).await.unwrap(), 1);
    assert_eq!(store.poll(0, i64::MAX).await.unwrap().outbox, 1);
    assert_eq!(store.ack(&entries[..1]).await.unwrap(), 0, "acknowledging twice changes nothing");

    reader.rewind();
    let (again, _) = reader.read(10, 0).await.unwrap();
    assert_eq!(again.len(), 1, "an unacknowledged entry is read again");
    assert_eq!(again[0].id, entries[1].id);
}

#[tokio::test]
async fn unreadable_entries_are_returned_raw() {
    let stores = TestStores::new().await;
    let store = stores.open_store().await;
    let _: String = stores.redis_client().await.query("XADD outbox * kind nonsense").await;
    award(&store, user(1), 10).await;
    let mut reader = store.outbox_reader().await.unwrap();
    let (entries, unreadable) = reader.read(10, 0).await.unwrap();
    assert_eq!((entries.len(), unreadable.len()), (2, store.shard_count()), "one per shard");
    assert_eq!(unreadable[0].raw, b"kind nonsense");
    assert_eq!(store.ack_unreadable(&unreadable[0]).await.unwrap(), 1);
}
