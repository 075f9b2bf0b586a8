//! Admin decisions: each happens once per key, and is restored in a Redis that lost it.

use std::time::Duration;

use futures::future::join_all;
use serde_json::{Value, json};

use super::admin::admin;
use crate::harness::{Player, TestNode, TestResponse, TestStores, assert_ledger_matches, eventually};

async fn act(node: &TestNode, root: &Player, deed: &str, key: &str, body: &Value) -> TestResponse {
    let path = format!("/api/admin/users/ada/{deed}");
    let headers = [("idempotency-key", key)];
    node.post_with(&path, &root.token, &headers[..usize::from(!key.is_empty())], body).await
}

async fn done(node: &TestNode, root: &Player, deed: &str) -> TestResponse {
    let answer = act(node, root, deed, "", &json!({ "reason": "because" })).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer
}

fn board(rows: Vec<(String, u64, u64)>) -> Vec<(String, u64)> {
    rows.into_iter().map(|(name, score, _)| (name, score)).collect()
}

async fn deeds(node: &TestNode, action: &str) -> Vec<Value> {
    let sql = "SELECT coalesce(detail, 'null') FROM admin_audit WHERE action = $1 ORDER BY created_at";
    sqlx::query_scalar(sql).bind(action).fetch_all(&node.app.database).await.unwrap()
}

#[tokio::test]
async fn operations_with_a_key_happen_once() {
    let stores = TestStores::new().await;
    let nodes = [stores.start_node().await, stores.start_node().await];
    let node = &nodes[0];
    let root = admin(node).await;
    let ada = node.register("ada").await;
    node.award(&ada, "watch_ad").await;
    let because = json!({ "reason": "because" });
    // Each operation with its inverse.
    for (deed, action, undo) in [
        ("ban", "ban", "unban"),
        ("unban", "unban", "ban"),
        ("quarantine", "quarantine", "approve"),
        ("approve", "approve", "quarantine"),
    ] {
        done(node, &root, undo).await;
        let key = format!("key of {action}").replace(' ', "-");
        let many = join_all((0..6).map(|it| act(&nodes[it % 2], &root, deed, &key, &because))).await;
        assert!(many.iter().all(|it| it.status == 200 && it.body == many[0].body), "{many:?}");
        let before = deeds(node, action).await.len();
        done(node, &root, undo).await;
        // A late repeat does not apply it again.
        assert_eq!(act(&nodes[1], &root, deed, &key, &because).await.body, many[0].body);
        assert_eq!(deeds(node, action).await.len(), before, "{deed}: once in the audit");
        for other in [json!({ "reason": "another" }), json!({ "reason": "because " })] {
            let same = other["reason"] == "because ";
            let answer = act(node, &root, deed, &key, &other).await;
            assert_eq!(
                (answer.status, same),
                if same { (200, true) } else { (409, false) },
                "{}",
                answer.text
            );
        }
        act(node, &root, undo, &key, &because).await.assert_refused(409, "IDEMPOTENCY_MISMATCH");
        act(node, &root, deed, &"x".repeat(65), &because).await.assert_refused(400, "VALIDATION_ERROR");
    }
    done(node, &root, "unban").await;
    done(node, &root, "quarantine").await;
    node.award(&ada, "complete_level").await;
    let many = join_all((0..6).map(|it| act(&nodes[it % 2], &root, "void", "void", &because))).await;
    assert!(many.iter().all(|it| it.status == 200 && it.body == many[0].body), "{many:?}");
    let (before, after) = (&many[0].body["data"]["scoreBefore"], &many[0].body["data"]["newScore"]);
    assert_eq!((before, after), (&json!(30), &json!(10)));
    assert_eq!(deeds(node, "void").await.len(), 1);
    // Points held since then are not part of the void.
    done(node, &root, "quarantine").await;
    node.award(&ada, "complete_level").await;
    assert_eq!(act(&nodes[1], &root, "void", "void", &because).await.body, many[0].body);
    assert_eq!(node.app.store.totals(&[ada.identity.user]).await.unwrap()[0].own, Some(30));
    done(node, &root, "approve").await;
    // A rejected operation is rejected again, even if it would be possible now.
    let refused = act(node, &root, "void", "early", &because).await;
    refused.assert_refused(400, "VALIDATION_ERROR");
    let less = json!({ "reason": "because", "points": -31 });
    act(node, &root, "adjust", "less", &less).await.assert_refused(400, "VALIDATION_ERROR");
    done(node, &root, "quarantine").await;
    assert_eq!(
        act(&nodes[1], &root, "void", "early", &because).await.body["message"],
        refused.body["message"]
    );
    done(node, &root, "approve").await;
    node.award(&ada, "complete_level").await;
    act(&nodes[1], &root, "adjust", "less", &less).await.assert_refused(400, "VALIDATION_ERROR");
    assert_eq!(node.app.store.totals(&[ada.identity.user]).await.unwrap()[0].own, Some(50));
    assert_eq!(deeds(node, "adjust").await, [json!({ "points": -31, "refused": "out_of_range" })]);
    assert_ledger_matches(&stores).await;
}

/// A void returns once Redis has applied it. The ledger has it a little later; in between, Redis may be lost.
#[tokio::test]
async fn a_void_survives_a_redis_that_lost_it() {
    let mut stores = TestStores::new().await;
    let node = stores.start_node().await;
    let root = admin(&node).await;
    let ada = node.register("ada").await;
    node.award(&ada, "watch_ad").await;
    done(&node, &root, "quarantine").await;
    node.award(&ada, "complete_level").await;
    node.wait_for_ledger().await;
    let block_ledger_writes = stores.block_ledger_writes().await;
    let voided = done(&node, &root, "void").await;
    let scores =
        |it: &TestResponse| (it.body["data"]["scoreBefore"].clone(), it.body["data"]["newScore"].clone());
    assert_eq!(scores(&voided), (json!(30), json!(10)));
    node.stop().await;
    stores.redis.kill().await;
    stores.redis.delete_data();
    stores.redis.restart().await;
    drop(block_ledger_writes);

    let node = stores.start_node().await;
    let shown = async || board(node.board().await);
    assert_eq!(shown().await, [("ada".to_owned(), 10)], "the held points are never shown");
    eventually("the void to be repeated", async || {
        assert_eq!(shown().await, [("ada".to_owned(), 10)]);
        (node.app.store.totals(&[ada.identity.user]).await.unwrap()[0].own == Some(10)).then_some(())
    })
    .await;
    assert_ledger_matches(&stores).await;
    let kept: (bool, bool) =
        sqlx::query_as("SELECT quarantined_at IS NULL, voids_id IS NULL FROM users WHERE username = 'ada'")
            .fetch_one(&node.app.database)
            .await
            .unwrap();
    assert_eq!(kept, (true, true), "the ledger has it");
    act(&node, &root, "void", "", &json!({ "reason": "x" })).await.assert_refused(400, "VALIDATION_ERROR");
    assert_eq!(node.award(&ada, "watch_ad").await.body["newScore"], 20);
    assert_eq!(shown().await, [("ada".to_owned(), 20)]);
    laurel::ledger::rebuild(&node.app.ledger, |_| ()).await.unwrap();
    assert_eq!(shown().await, [("ada".to_owned(), 20)]);
    assert_ledger_matches(&stores).await;
}

#[tokio::test]
async fn restrictions_deleted_from_redis_are_restored() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let root = admin(&node).await;
    let ada = node.register("ada").await;
    let user = ada.identity.user;
    node.award(&ada, "watch_ad").await;
    let mut redis_client = stores.redis_client().await;
    let task = tokio::spawn(laurel::admin::reconcile_forever(node.app.admin.clone(), Duration::ZERO));
    // Long ago, so that the comparison of recent decisions does not find it.
    let long_ago = async || {
        let sql = "UPDATE users SET restricted_at = now() - interval '9 days' WHERE username = 'ada'";
        sqlx::query(sql).execute(&node.app.database).await.unwrap();
    };
    done(&node, &root, "ban").await;
    long_ago().await;
    for key in [format!("ban:{user}"), "banned".to_owned(), format!("ban:{user}")] {
        let _: () = redis_client.query(&format!("DEL {key}")).await;
        eventually(&key, async || {
            let it = node.app.store.restrictions(&[user]).await.unwrap()[0];
            (it.banned && it.listed).then_some(())
        })
        .await;
    }
    node.init(&ada, "watch_ad").await.assert_refused(403, "FORBIDDEN");
    done(&node, &root, "unban").await;
    done(&node, &root, "quarantine").await;
    node.award(&ada, "complete_level").await;
    node.wait_for_ledger().await;
    long_ago().await;
    for _ in 0..2 {
        let _: () = redis_client.query(&format!("DEL quarantine:{user}")).await;
        eventually("the points to be held", async || {
            node.app.store.restrictions(&[user]).await.unwrap()[0].quarantined.then_some(())
        })
        .await;
        assert_eq!(board(node.board().await), [("ada".to_owned(), 10)]);
    }
    assert_eq!(node.award(&ada, "watch_ad").await.body["newScore"], 40);
    assert_ledger_matches(&stores).await;
    // A void succeeds even if Redis lost the quarantine.
    let _: () = redis_client.query(&format!("DEL quarantine:{user}")).await;
    let voided = done(&node, &root, "void").await;
    assert_eq!(
        (&voided.body["data"]["scoreBefore"], &voided.body["data"]["newScore"]),
        (&json!(40), &json!(10))
    );
    assert_eq!(board(node.board().await), [("ada".to_owned(), 10)]);
    assert_ledger_matches(&stores).await;
    task.abort();
}
