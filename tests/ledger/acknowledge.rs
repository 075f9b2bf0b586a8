//! Actions with `acknowledge = "ledger"`, in every API.

use serde_json::{Value, json};
use sqlx::Connection;
use uuid::Uuid;

use crate::harness::{Player, TestNode, TestResponse, TestStores, assert_ledger_matches};

const CATALOGUE: &str = "[[action]]\ntype = \"jackpot\"\nnumber = 1\npoints = 100\nproof = { kind = \"none\" }\n\
                         acknowledge = \"ledger\"\n\
                         [[action]]\ntype = \"crumb\"\nnumber = 2\npoints = 1\nproof = { kind = \"none\" }\n";

/// A node that waits this long for an award to be committed.
async fn node(stores: &TestStores, wait_ms: u64) -> TestNode {
    let path = stores.folder.path().join("actions.toml");
    std::fs::write(&path, CATALOGUE).unwrap();
    stores
        .start_node_with(|it| {
            it.actions.file = path.to_str().unwrap().to_owned();
            it.outbox.acknowledge_timeout_ms = wait_ms;
            it.tokens.action_interval_seconds = 0;
        })
        .await
}

/// A token for the jackpot in each API, as the request that redeems it.
async fn requests(node: &TestNode, player: &Player) -> [(&'static str, Value); 3] {
    let token = node.issue_token(player, "jackpot").await;
    let proven = node.post("/api/v1/action-tokens", &player.token, &json!({ "actionType": "jackpot" })).await;
    let game = node.post("/api/game/start", &player.token, &json!({})).await;
    let update =
        json!({ "actionToken": game.body["data"]["actionToken"], "actionType": "jackpot", "points": 100 });
    [
        ("/api/v1/actions/finalize", json!({ "antiSpamToken": token })),
        ("/api/v1/scores", json!({ "actionToken": proven.body["actionToken"] })),
        ("/api/score/update", update),
    ]
}

/// With a key per API.
async fn redeem(node: &TestNode, player: &Player, path: &str, body: &Value) -> TestResponse {
    node.post_with(path, &player.token, &[("idempotency-key", path)], body).await
}

async fn written(node: &TestNode, player: &Player) -> i64 {
    sqlx::query_scalar("SELECT coalesce(sum(points_earned), 0)::bigint FROM score_history WHERE user_id = $1")
        .bind(player.identity.user)
        .fetch_one(&node.app.database)
        .await
        .unwrap()
}

#[tokio::test]
async fn acknowledged_awards_are_committed_in_every_api() {
    let stores = TestStores::new().await;
    let node = node(&stores, 30_000).await;
    let ada = node.register("ada").await;
    let requests = requests(&node, &ada).await;
    for (already, (path, body)) in requests.iter().enumerate() {
        let won = redeem(&node, &ada, path, body).await;
        assert_eq!(won.status, 200, "{}", won.text);
        assert_eq!(written(&node, &ada).await, 100 * (already as i64 + 1), "{path}");
    }
}

#[tokio::test]
async fn uncommitted_awards_time_out_and_a_retry_is_acknowledged() {
    let stores = TestStores::new().await;
    let node = node(&stores, 400).await;
    let (ada, bob) = (node.register("ada").await, node.register("bob").await);
    let requests = requests(&node, &ada).await;
    node.wait_for_ledger().await;
    let holder = stores.block_ledger_writes().await;
    for round in 0..2 {
        for (path, body) in &requests {
            let refused = redeem(&node, &ada, path, body).await;
            refused.assert_refused(503, "SERVICE_UNAVAILABLE");
            assert!(
                refused.text.contains("awarded but are not yet durable"),
                "{round} {path}: {}",
                refused.text
            );
            assert_eq!(refused.header("retry-after"), "1");
        }
    }
    assert_eq!(
        node.app.store.standing(ada.identity.user).await.unwrap().unwrap().0,
        300,
        "they are counted, once"
    );
    assert_eq!(node.award(&bob, "crumb").await.status, 200, "other actions do not wait");
    assert_eq!((written(&node, &ada).await, written(&node, &bob).await), (0, 0));

    holder.close().await.unwrap();
    for (number, (path, body)) in requests.iter().enumerate() {
        // This test does not measure how fast the ledger recovers.
        let answer = crate::harness::eventually("the retry to be answered", async || {
            Some(redeem(&node, &ada, path, body).await).filter(|it| it.status != 503)
        })
        .await;
        assert_eq!((answer.status, answer.header("idempotent-replayed")), (200, "true"), "{}", answer.text);
        assert!(written(&node, &ada).await >= 100 * (number as i64 + 1), "{path}");
    }
    assert_ledger_matches(&stores).await;
    assert_eq!(written(&node, &ada).await, 300);
}

#[tokio::test]
async fn concurrent_requests_wait_for_their_own_award() {
    let stores = TestStores::new().await;
    let node = node(&stores, 30_000).await;
    let players = node.create_players(20).await;
    let wins = players.iter().map(|it| node.award(it, "jackpot"));
    futures::future::join_all(wins).await;
    for player in &players {
        assert_eq!(written(&node, player).await, 100);
    }
    let never = std::time::Duration::from_millis(50);
    assert!(!node.app.ledger.commits.wait(Uuid::new_v4(), never).await, "there is no such award");
}
