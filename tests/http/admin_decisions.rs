//! Decisions of admins: each applies once per idempotency key, and is restored if Redis loses it.

use std::time::Duration;

use futures::future::join_all;
use serde_json::{Value, json};

use super::admin::{apply, create_admin, scores};
use crate::harness::{Player, TestNode, TestResponse, TestStores, assert_ledger_matches, eventually};

/// Posts an operation on ada. An empty key sends no `Idempotency-Key`.
async fn post(node: &TestNode, root: &Player, operation: &str, key: &str, body: &Value) -> TestResponse {
    let path = format!("/api/admin/users/ada/{operation}");
    let headers = [("idempotency-key", key)];
    node.post_with(&path, &root.token, &headers[..usize::from(!key.is_empty())], body).await
}

/// The details of an operation's entries in the audit log.
async fn audit_details(node: &TestNode, action: &str) -> Vec<Value> {
    let sql = "SELECT coalesce(detail, 'null') FROM admin_audit WHERE action = $1 ORDER BY created_at";
    sqlx::query_scalar(sql).bind(action).fetch_all(&node.app.database).await.unwrap()
}

#[tokio::test]
async fn requests_with_an_idempotency_key_apply_once() {
    let stores = TestStores::new().await;
    let nodes = [stores.start_node().await, stores.start_node().await];
    let node = &nodes[0];
    // The boards' follower deletes corrections, so a trigger copies them.
    sqlx::raw_sql(
        "CREATE TABLE copied AS TABLE board_corrections;
         CREATE FUNCTION copy() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO copied SELECT NEW.*; RETURN NULL; END';
         CREATE TRIGGER copied AFTER INSERT ON board_corrections FOR EACH ROW EXECUTE FUNCTION copy()",
    )
    .execute(&node.app.database)
    .await
    .unwrap();
    let root = create_admin(node).await;
    let ada = node.register("ada").await;
    node.award(&ada, "watch_ad").await;
    let because = json!({ "reason": "because" });
    // Each operation with its inverse.
    for (operation, inverse) in
        [("ban", "unban"), ("unban", "ban"), ("quarantine", "approve"), ("approve", "quarantine")]
    {
        apply(node, &root, "ada", inverse).await;
        let key = format!("key-of-{operation}");
        let responses =
            join_all((0..6).map(|turn| post(&nodes[turn % 2], &root, operation, &key, &because))).await;
        assert!(
            responses.iter().all(|response| response.status == 200 && response.body == responses[0].body),
            "{responses:?}"
        );
        let before = audit_details(node, operation).await.len();
        apply(node, &root, "ada", inverse).await;
        // A late repeat does not apply it again.
        assert_eq!(post(&nodes[1], &root, operation, &key, &because).await.body, responses[0].body);
        assert_eq!(
            audit_details(node, operation).await.len(),
            before,
            "{operation} is in the audit log once"
        );
        // Spaces around a reason are trimmed before it is compared.
        for (reason, status) in [("another", 409), ("because ", 200)] {
            let response = post(node, &root, operation, &key, &json!({ "reason": reason })).await;
            assert_eq!(response.status, status, "{}", response.text);
        }
        post(node, &root, inverse, &key, &because).await.assert_refused(409, "IDEMPOTENCY_MISMATCH");
        post(node, &root, operation, &"x".repeat(65), &because).await.assert_refused(400, "VALIDATION_ERROR");
    }
    apply(node, &root, "ada", "unban").await;
    apply(node, &root, "ada", "quarantine").await;
    node.award(&ada, "complete_level").await;
    let responses =
        join_all((0..6).map(|turn| post(&nodes[turn % 2], &root, "void", "void", &because))).await;
    assert!(
        responses.iter().all(|response| response.status == 200 && response.body == responses[0].body),
        "{responses:?}"
    );
    let (before, after) = (&responses[0].body["data"]["scoreBefore"], &responses[0].body["data"]["newScore"]);
    assert_eq!((before, after), (&json!(30), &json!(10)));
    assert_eq!(audit_details(node, "void").await.len(), 1);
    // Points held since then are not part of the void.
    apply(node, &root, "ada", "quarantine").await;
    node.award(&ada, "complete_level").await;
    assert_eq!(post(&nodes[1], &root, "void", "void", &because).await.body, responses[0].body);
    assert_eq!(node.app.store.totals(&[ada.identity.user]).await.unwrap()[0].own, Some(30));
    apply(node, &root, "ada", "approve").await;
    // A refusal is replayed too, even if the operation would be possible now.
    let refused = post(node, &root, "void", "early", &because).await;
    refused.assert_refused(400, "VALIDATION_ERROR");
    let too_much = json!({ "reason": "because", "points": -31 });
    post(node, &root, "adjust", "too-much", &too_much).await.assert_refused(400, "VALIDATION_ERROR");
    apply(node, &root, "ada", "quarantine").await;
    assert_eq!(
        post(&nodes[1], &root, "void", "early", &because).await.body["message"],
        refused.body["message"]
    );
    apply(node, &root, "ada", "approve").await;
    node.award(&ada, "complete_level").await;
    post(&nodes[1], &root, "adjust", "too-much", &too_much).await.assert_refused(400, "VALIDATION_ERROR");
    assert_eq!(node.app.store.totals(&[ada.identity.user]).await.unwrap()[0].own, Some(50));
    assert_eq!(audit_details(node, "adjust").await, [json!({ "points": -31, "refused": "out_of_range" })]);
    assert_ledger_matches(&stores).await;
    let history = node.get_as(&root, "/api/admin/users/ada/history?limit=200").await;
    let events = history.body["data"]["events"].as_array().unwrap();
    let entries: Vec<&Value> = events.iter().rev().filter(|event| event["scoreAfter"].is_u64()).collect();
    let marks: Vec<Value> =
        entries.iter().map(|entry| json!([entry["points"], entry["held"], entry["voidedBy"]])).collect();
    let void = &entries[2]["eventId"];
    let expected = [(10, None), (20, Some(void)), (-20, None), (20, None), (20, None)];
    assert_eq!(marks, expected.map(|(points, voided_by)| json!([points, false, voided_by])));
    // Boards follow what changed a user's state, and no repeat or refusal.
    let corrections: Vec<String> = sqlx::query_scalar(
        "SELECT action FROM copied WHERE user_id = $1 AND actor = 'root' AND reason = 'because' ORDER BY id",
    )
    .bind(ada.identity.user)
    .fetch_all(&node.app.database)
    .await
    .unwrap();
    let decisions = "ban unban ban unban ban quarantine approve quarantine approve quarantine unban void quarantine approve \
                     quarantine approve";
    assert_eq!(corrections.join(" "), decisions);
}

/// A void returns when Redis has applied it, a little before the ledger has it. In between, Redis may lose its data.
#[tokio::test]
async fn a_void_survives_a_redis_that_lost_it() {
    let mut stores = TestStores::new().await;
    let node = stores.start_node().await;
    let root = create_admin(&node).await;
    let ada = node.register("ada").await;
    node.award(&ada, "watch_ad").await;
    apply(&node, &root, "ada", "quarantine").await;
    node.award(&ada, "complete_level").await;
    node.wait_for_ledger().await;
    let ledger_lock = stores.block_ledger_writes().await;
    let voided = apply(&node, &root, "ada", "void").await;
    let (before, after) = (&voided.body["data"]["scoreBefore"], &voided.body["data"]["newScore"]);
    assert_eq!((before, after), (&json!(30), &json!(10)));
    node.stop().await;
    stores.redis.kill().await;
    stores.redis.delete_data();
    stores.redis.restart().await;
    drop(ledger_lock);

    let node = stores.start_node().await;
    assert_eq!(scores(&node).await, [("ada".to_owned(), 10)], "held points must not be shown");
    eventually("the void to be applied again", async || {
        assert_eq!(scores(&node).await, [("ada".to_owned(), 10)]);
        (node.app.store.totals(&[ada.identity.user]).await.unwrap()[0].own == Some(10)).then_some(())
    })
    .await;
    assert_ledger_matches(&stores).await;
    let columns: (bool, bool) =
        sqlx::query_as("SELECT quarantined_at IS NULL, voids_id IS NULL FROM users WHERE username = 'ada'")
            .fetch_one(&node.app.database)
            .await
            .unwrap();
    assert_eq!(columns, (true, true), "the void is over once the ledger has it");
    post(&node, &root, "void", "", &json!({ "reason": "x" })).await.assert_refused(400, "VALIDATION_ERROR");
    assert_eq!(node.award(&ada, "watch_ad").await.body["newScore"], 20);
    assert_eq!(scores(&node).await, [("ada".to_owned(), 20)]);
    laurel::ledger::rebuild(&node.app.ledger, |_| ()).await.unwrap();
    assert_eq!(scores(&node).await, [("ada".to_owned(), 20)]);
    assert_ledger_matches(&stores).await;
}

#[tokio::test]
async fn restrictions_deleted_from_redis_are_restored() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let root = create_admin(&node).await;
    let ada = node.register("ada").await;
    let user = ada.identity.user;
    node.award(&ada, "watch_ad").await;
    let mut redis_client = stores.redis_client().await;
    let task = tokio::spawn(laurel::admin::reconcile_forever(node.app.admin.clone(), Duration::ZERO));
    // Older than the decisions that are compared more often.
    let backdate = async || {
        let sql = "UPDATE users SET restricted_at = now() - interval '9 days' WHERE username = 'ada'";
        sqlx::query(sql).execute(&node.app.database).await.unwrap();
    };
    apply(&node, &root, "ada", "ban").await;
    backdate().await;
    for key in [format!("ban:{user}"), "banned".to_owned(), format!("ban:{user}")] {
        let _: () = redis_client.query(&format!("DEL {key}")).await;
        eventually(&key, async || {
            let restrictions = node.app.store.restrictions(&[user]).await.unwrap()[0];
            (restrictions.banned && restrictions.listed).then_some(())
        })
        .await;
    }
    node.init(&ada, "watch_ad").await.assert_refused(403, "FORBIDDEN");
    apply(&node, &root, "ada", "unban").await;
    apply(&node, &root, "ada", "quarantine").await;
    node.award(&ada, "complete_level").await;
    node.wait_for_ledger().await;
    backdate().await;
    for _ in 0..2 {
        let _: () = redis_client.query(&format!("DEL quarantine:{user}")).await;
        eventually("the points to be held", async || {
            node.app.store.restrictions(&[user]).await.unwrap()[0].quarantined.then_some(())
        })
        .await;
        assert_eq!(scores(&node).await, [("ada".to_owned(), 10)]);
    }
    assert_eq!(node.award(&ada, "watch_ad").await.body["newScore"], 40);
    assert_ledger_matches(&stores).await;
    // A void succeeds even if Redis lost the quarantine.
    let _: () = redis_client.query(&format!("DEL quarantine:{user}")).await;
    let voided = apply(&node, &root, "ada", "void").await;
    assert_eq!(
        (&voided.body["data"]["scoreBefore"], &voided.body["data"]["newScore"]),
        (&json!(40), &json!(10))
    );
    assert_eq!(scores(&node).await, [("ada".to_owned(), 10)]);
    assert_ledger_matches(&stores).await;
    task.abort();
}
