use laurel::ledger::{Origin, write_batch};
use serde_json::{Value, json};

use crate::harness::{Player, TestNode, TestStores, assert_ledger_matches};

async fn score(node: &TestNode, player: &Player) -> i64 {
    sqlx::query_scalar("SELECT score FROM users WHERE id = $1")
        .bind(player.identity.user)
        .fetch_one(&node.app.database)
        .await
        .unwrap()
}

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

    // U+0000, and the six characters of its escape: clients may send both.
    let given = json!({ "seen": "all\u{0} of it", "k\u{0}": ["\\u0000", "\\\u{0}"] });
    assert_eq!(node.finalize(&ada, &token, given).await.status, 200);
    node.wait_for_ledger().await;
    let (whole, hash, proof): (bool, String, Value) = sqlx::query_as(
        "SELECT completed_at >= created_at AND expires_at > completed_at AND refused_at IS NULL, token_hash, proof_of_work
         FROM user_action",
    )
    .fetch_one(&node.app.database)
    .await
    .unwrap();
    assert!(whole);
    assert_eq!(hash, laurel::crypto::sha256_hex(&[token.as_bytes()]));
    let kept = json!({ "seen": "all\\u0000 of it", "k\\u0000": ["\\u0000", "\\\\u0000"] });
    assert_eq!(proof, kept, "jsonb has no U+0000");
    let row: (i64, i64, i64, String) = sqlx::query_as(
        "SELECT score_before, points_earned, score_after, action_token_hash FROM score_history",
    )
    .fetch_one(&node.app.database)
    .await
    .unwrap();
    assert_eq!(row, (0, 10, 10, hash));
    assert_eq!(score(&node, &ada).await, 10);
}

#[tokio::test]
async fn an_entry_delivered_twice_counts_once() {
    let stores = TestStores::new().await;
    let app = stores.build_app().await;
    laurel::ledger::await_board(&app.ledger, |_| ()).await.unwrap();
    let user = super::verify::insert_user(&app).await;
    crate::scripts::award(&app.store, user, 10).await;
    crate::scripts::award(&app.store, user, 5).await;
    let mut reader = app.store.outbox_reader().await.unwrap();
    let (mut entries, _) = reader.read(100, 0).await.unwrap();
    let mut writer = app.database.acquire().await.unwrap();
    // A node writes and dies before it acknowledges. Another writes again, in another order.
    write_batch(&mut writer, &app.receipts, app.store.shard_count(), &entries, Origin::Outbox).await.unwrap();
    entries.reverse();
    write_batch(&mut writer, &app.receipts, app.store.shard_count(), &entries, Origin::Outbox).await.unwrap();
    for entry in &entries {
        write_batch(
            &mut writer,
            &app.receipts,
            app.store.shard_count(),
            std::slice::from_ref(entry),
            Origin::Outbox,
        )
        .await
        .unwrap();
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

#[tokio::test]
async fn a_user_with_a_history_cannot_be_deleted() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let database = &node.app.database;
    let ada = node.register("ada").await;
    node.award(&ada, "watch_ad").await;
    node.wait_for_ledger().await;
    let goes = async |user: uuid::Uuid| {
        let gone = sqlx::query("DELETE FROM users WHERE id = $1").bind(user).execute(database).await;
        gone.map(|it| it.rows_affected())
            .map_err(|it| it.as_database_error().unwrap().code().unwrap().into_owned())
    };
    assert_eq!(goes(ada.identity.user).await, Err("23503".to_owned()));
    let moved = sqlx::query("UPDATE users SET id = gen_random_uuid() WHERE id = $1").bind(ada.identity.user);
    moved.execute(database).await.unwrap_err();

    let eve = node.register("eve").await;
    assert_eq!(goes(eve.identity.user).await, Ok(1), "a user without a history can be deleted");
}
