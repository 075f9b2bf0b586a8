//! Entries that cannot be written to the ledger become dead letters. They block no other entry.

use laurel::admin::{DeadLetter, DeadLetterAction, Decision};
use sqlx::Executor;
use uuid::Uuid;

use super::{append, forged_entry, ledger_score};
use crate::harness::{
    Player, TestNode, TestStores, assert_ledger_matches, eventually, ledger_mismatches, mismatches,
};
use crate::scripts::user;

fn operator() -> Decision {
    Decision { actor: "test".into(), host: None, reason: "because".into() }
}

async fn dead_letters(node: &TestNode) -> Vec<DeadLetter> {
    laurel::admin::dead_letters(&node.app.admin, true, 1000).await.unwrap()
}

async fn retry(node: &TestNode, letter: i64) -> String {
    laurel::admin::decide_dead_letter(&node.app.admin, letter, DeadLetterAction::Retry, &operator())
        .await
        .unwrap();
    laurel::ledger::retry_dead_letters(&node.app.ledger).await.unwrap();
    dead_letters(node).await.into_iter().find(|found| found.id == letter).unwrap().state
}

async fn forge(node: &TestNode, player: &Player, changes: &[(&str, &str)]) -> String {
    forged_entry(player.identity.user, node.app.store.now_us().await.unwrap(), changes)
}

#[tokio::test]
async fn a_bad_entry_blocks_no_other() {
    let stores = TestStores::with_shards(1).await;
    let node = stores.start_node().await;
    let ada = node.register("ada").await;
    let mut redis_client = stores.redis_client().await;
    let stranger = Uuid::from_u128(77).to_string();
    let (too_late, too_long) = (i64::MAX.to_string(), "x".repeat(65));
    let cases: &[(&str, &[(&str, &str)])] = &[
        ("unreadable", &[("kind", "unknown")]),
        ("unreadable", &[("user", "nobody")]),
        ("unreadable", &[("before", "many")]),
        ("unreadable", &[("hlc_us", &too_late)]),
        ("unknown_user", &[("user", &stranger)]),
        ("refused", &[("after", "9")]),
        ("refused", &[("at", &too_late)]),
        ("refused", &[("token", &too_long)]),
        ("refused", &[("kind", "adjusted"), ("proof", "{not-json")]),
    ];
    for (number, (reason, changes)) in cases.iter().enumerate() {
        let entry = forge(&node, &ada, changes).await;
        let stream_id = append(&mut redis_client, &entry).await;
        node.award(&ada, "watch_ad").await;
        node.wait_for_ledger().await;
        let found = dead_letters(&node).await;
        assert_eq!(found.len(), number + 1, "{changes:?}");
        assert_eq!((found[0].reason.as_str(), &found[0].stream_id), (*reason, &stream_id), "{changes:?}");
        assert_eq!(ledger_score(&node, &ada).await, 10 * (number as i64 + 1), "{changes:?}");
        assert!(found[0].entry.contains("hash") || found[0].entry.contains("xxx"), "{}", found[0].entry);
    }
    // A rebuild skips them and records none twice.
    let entry = forge(&node, &ada, cases[5].1).await;
    append(&mut redis_client, &entry).await;
    laurel::ledger::rebuild(&node.app.ledger, |_| ()).await.unwrap();
    assert_eq!(dead_letters(&node).await.len(), cases.len() + 1);
    let found = mismatches(&node.app).await;
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].subject == "dead letters" && found[0].detail.starts_with("10 entries"), "{found:?}");
    for letter in dead_letters(&node).await {
        laurel::admin::decide_dead_letter(&node.app.admin, letter.id, DeadLetterAction::Discard, &operator())
            .await
            .unwrap();
        let second = laurel::admin::decide_dead_letter(
            &node.app.admin,
            letter.id,
            DeadLetterAction::Retry,
            &operator(),
        )
        .await;
        assert!(second.is_err(), "a decision is final");
    }
    assert_ledger_matches(&stores).await;
}

#[tokio::test]
async fn a_retried_entry_counts_once() {
    let stores = TestStores::with_shards(1).await;
    let node = stores.start_node().await;
    let ada = node.register("ada").await;
    let database = &node.app.database;
    node.award(&ada, "watch_ad").await;
    node.wait_for_ledger().await;
    let constraint = "ALTER TABLE score_history ADD CONSTRAINT not_15 CHECK (points_earned <> 15)";
    database.execute(constraint).await.unwrap();
    node.award(&ada, "solve_puzzle").await;
    node.award(&ada, "watch_ad").await;
    node.wait_for_ledger().await;
    // In Redis the score went from 10 to 25 to 35. The ledger continues from its own score.
    assert_eq!(ledger_score(&node, &ada).await, 20);
    assert_eq!(ledger_mismatches(&node.app).await, []);
    let waiting = dead_letters(&node).await;
    assert_eq!((waiting.len(), waiting[0].points, waiting[0].in_redis), (1, Some(15), true));
    assert_eq!(mismatches(&node.app).await.len(), 3, "ada, the first place, and the dead letter");
    assert_eq!(retry(&node, waiting[0].id).await, "waiting", "the constraint still rejects it");
    database.execute("ALTER TABLE score_history DROP CONSTRAINT not_15").await.unwrap();
    assert_eq!(retry(&node, waiting[0].id).await, "written");
    assert_eq!(ledger_score(&node, &ada).await, 35);
    assert_ledger_matches(&stores).await;
    node.award(&ada, "complete_level").await;
    assert_ledger_matches(&stores).await;
    // An older copy of Redis would deliver the same entry again.
    let at_ms = waiting[0].at_ms;
    let changes = [
        ("id", waiting[0].event_id.unwrap().to_string()),
        ("points", "15".to_owned()),
        ("after", "15".to_owned()),
        ("at", at_ms.to_string()),
    ];
    let changes: Vec<(&str, &str)> = changes.iter().map(|(name, word)| (*name, word.as_str())).collect();
    let entry = forge(&node, &ada, &changes).await;
    append(&mut stores.redis_client().await, &entry).await;
    node.wait_for_ledger().await;
    assert_eq!(ledger_score(&node, &ada).await, 55);
    assert_ledger_matches(&stores).await;
}

#[tokio::test]
async fn an_unknown_user_is_banned_and_blocks_nothing() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let (ada, eve) = (node.register("ada").await, node.register("eve").await);
    let user = eve.identity.user;
    let row: (i64, String, String) =
        sqlx::query_as("DELETE FROM users WHERE id = $1 RETURNING number, username, email")
            .bind(user)
            .fetch_one(&node.app.database)
            .await
            .unwrap();
    // By the scripts, which the ban does not stop.
    crate::scripts::award(&node.app.store, user, 10).await;
    node.award(&ada, "watch_ad").await;
    let wait_for_ban = async || {
        eventually("the unknown user to be banned", async || {
            (node.init(&eve, "watch_ad").await.status == 403).then_some(())
        })
        .await;
    };
    wait_for_ban().await;
    node.wait_for_ledger().await;
    assert_eq!(node.board().await, [("ada".to_owned(), 10, 1)]);
    assert!(
        dead_letters(&node)
            .await
            .iter()
            .all(|letter| letter.reason == "unknown_user" && letter.user == Some(user))
    );
    laurel::ledger::rebuild(&node.app.ledger, |_| ()).await.unwrap();
    node.award(&ada, "watch_ad").await;
    wait_for_ban().await;
    let found = mismatches(&node.app).await;
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].detail.contains("1 of the players are not in Postgres"), "{found:?}");

    // Restore the user's row.
    sqlx::query(
        "INSERT INTO users (id, number, username, email, password_hash) OVERRIDING SYSTEM VALUE VALUES ($1, $2, $3, $4, '!')",
    )
    .bind(user)
    .bind(row.0)
    .bind(row.1)
    .bind(row.2)
    .execute(&node.app.database)
    .await
    .unwrap();
    laurel::admin::retry_all_dead_letters(&node.app.admin, &operator()).await.unwrap();
    laurel::ledger::retry_dead_letters(&node.app.ledger).await.unwrap();
    assert!(dead_letters(&node).await.iter().all(|it| it.state == "written"));
    let reconciler =
        tokio::spawn(laurel::admin::reconcile_forever(node.app.admin.clone(), laurel::admin::FULL_INTERVAL));
    eventually("the ban to be lifted", async || {
        (node.init(&eve, "watch_ad").await.status == 200).then_some(())
    })
    .await;
    reconciler.abort();
    let is_lost = |letter: &DeadLetter| letter.points.is_none() || !letter.in_redis;
    assert!(dead_letters(&node).await.iter().all(is_lost), "Redis was loaded without the award");
    laurel::ledger::rebuild(&node.app.ledger, |_| ()).await.unwrap();
    node.award(&eve, "watch_ad").await;
    assert_eq!(node.board().await, [("ada".to_owned(), 20, 1), ("eve".to_owned(), 20, 1)]);
    assert_ledger_matches(&stores).await;
}

#[tokio::test]
async fn entries_stay_in_the_outbox_if_postgres_rejects_all() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let ada = node.register("ada").await;
    let database = &node.app.database;
    database.execute("ALTER TABLE user_action RENAME COLUMN score_value TO other").await.unwrap();
    node.award(&ada, "watch_ad").await;
    eventually("the leader to try a write", async || {
        let text = node.get("/metrics").await.text;
        text.contains("operation=\"write_ledger\",result=\"error\"").then_some(())
    })
    .await;
    assert!(dead_letters(&node).await.is_empty());
    assert_eq!(node.app.store.poll_state().await.unwrap().outbox, 2);
    database.execute("ALTER TABLE user_action RENAME COLUMN other TO score_value").await.unwrap();
    node.wait_for_ledger().await;
    assert_ledger_matches(&stores).await;
    assert!(dead_letters(&node).await.is_empty());
}

#[tokio::test]
async fn entries_stay_in_the_outbox_after_too_many_failures() {
    let stores = TestStores::with_shards(1).await;
    let node = stores.start_node().await;
    let ada = node.register("ada").await;
    let mut redis_client = stores.redis_client().await;
    for number in 0..105 {
        let _: String = redis_client.query(&format!("XADD outbox * kind unknown number {number}")).await;
    }
    eventually("a hundred dead letters", async || {
        (node.app.store.poll_state().await.ok()?.outbox == 5).then_some(())
    })
    .await;
    let rebuilt = laurel::ledger::rebuild(&node.app.ledger, |_| ()).await;
    assert!(rebuilt.unwrap_err().to_string().contains("5 entries"));
    assert_eq!(dead_letters(&node).await.len(), 100);
    assert_eq!(node.award(&ada, "watch_ad").await.body["newScore"], 10, "awards go on");
    eventually("the award to be written", async || (ledger_score(&node, &ada).await == 10).then_some(()))
        .await;
    laurel::ledger::rebuild(&node.app.ledger, |_| ()).await.unwrap();
    assert_eq!(dead_letters(&node).await.len(), 105);
    assert_eq!(node.app.store.poll_state().await.unwrap().outbox, 0);
    node.award(&ada, "watch_ad").await;
}

#[tokio::test]
async fn entries_of_other_players_are_written() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let ada = node.register("ada").await;
    crate::scripts::award(&node.app.store, user(99), 10).await;
    node.award(&ada, "watch_ad").await;
    node.wait_for_ledger().await;
    assert_eq!(ledger_score(&node, &ada).await, 10);
    assert_eq!(dead_letters(&node).await.len(), 2);
}
