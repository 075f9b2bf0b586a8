//! Actions with `acknowledge = "ledger"`, in every API.

use serde_json::{Value, json};
use sqlx::Connection;
use uuid::Uuid;

use crate::harness::{Player, TestNode, TestResponse, TestStores, assert_ledger_matches, eventually};

const CATALOGUE: &str = "[[action]]\ntype = \"jackpot\"\nnumber = 1\npoints = 100\nproof = { kind = \"none\" }\n\
                         acknowledge = \"ledger\"\n\
                         [[action]]\ntype = \"crumb\"\nnumber = 2\npoints = 1\nproof = { kind = \"none\" }\n";

/// Starts a node that waits `wait_ms` for an award to be committed.
async fn start_node(stores: &TestStores, wait_ms: u64) -> TestNode {
    let path = stores.folder.path().join("actions.toml");
    std::fs::write(&path, CATALOGUE).unwrap();
    stores
        .start_node_with(|config| {
            config.actions.file = path.to_str().unwrap().to_owned();
            config.outbox.acknowledge_timeout_ms = wait_ms;
            config.tokens.action_interval_seconds = 0;
        })
        .await
}

/// Gets a token for the jackpot in each API. Returns the requests that redeem them.
async fn redeem_requests(node: &TestNode, player: &Player) -> [(&'static str, Value); 3] {
    let token = node.issue_token(player, "jackpot").await;
    let verified =
        node.post("/api/v1/action-tokens", &player.token, &json!({ "actionType": "jackpot" })).await;
    let game = node.post("/api/game/start", &player.token, &json!({})).await;
    let update =
        json!({ "actionToken": game.body["data"]["actionToken"], "actionType": "jackpot", "points": 100 });
    [
        ("/api/v1/actions/finalize", json!({ "antiSpamToken": token })),
        ("/api/v1/scores", json!({ "actionToken": verified.body["actionToken"] })),
        ("/api/score/update", update),
    ]
}

/// Redeems a token with an idempotency key per API.
async fn redeem(node: &TestNode, player: &Player, path: &str, body: &Value) -> TestResponse {
    node.post_with(path, &player.token, &[("idempotency-key", path)], body).await
}

async fn committed_points(node: &TestNode, player: &Player) -> i64 {
    sqlx::query_scalar("SELECT coalesce(sum(points_earned), 0)::bigint FROM score_history WHERE user_id = $1")
        .bind(player.identity.user)
        .fetch_one(&node.app.database)
        .await
        .unwrap()
}

#[tokio::test]
async fn acknowledged_awards_are_committed_in_every_api() {
    let stores = TestStores::new().await;
    let node = start_node(&stores, 30_000).await;
    let ada = node.register("ada").await;
    let requests = redeem_requests(&node, &ada).await;
    for (number, (path, body)) in requests.iter().enumerate() {
        let response = redeem(&node, &ada, path, body).await;
        assert_eq!(response.status, 200, "{}", response.text);
        assert_eq!(committed_points(&node, &ada).await, 100 * (number as i64 + 1), "{path}");
    }
}

#[tokio::test]
async fn uncommitted_awards_time_out_and_a_retry_is_acknowledged() {
    let stores = TestStores::new().await;
    let node = start_node(&stores, 400).await;
    let (ada, bob) = (node.register("ada").await, node.register("bob").await);
    let requests = redeem_requests(&node, &ada).await;
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
        "each award counts once"
    );
    assert_eq!(node.award(&bob, "crumb").await.status, 200, "other actions do not wait");
    assert_eq!((committed_points(&node, &ada).await, committed_points(&node, &bob).await), (0, 0));

    holder.close().await.unwrap();
    for (number, (path, body)) in requests.iter().enumerate() {
        // The ledger may take any time to recover.
        let response = eventually("the retry to be answered", async || {
            Some(redeem(&node, &ada, path, body).await).filter(|response| response.status != 503)
        })
        .await;
        assert_eq!(
            (response.status, response.header("idempotent-replayed")),
            (200, "true"),
            "{}",
            response.text
        );
        assert!(committed_points(&node, &ada).await >= 100 * (number as i64 + 1), "{path}");
    }
    assert_ledger_matches(&stores).await;
    assert_eq!(committed_points(&node, &ada).await, 300);
}

#[tokio::test]
async fn concurrent_requests_wait_for_their_own_award() {
    let stores = TestStores::new().await;
    let node = start_node(&stores, 30_000).await;
    let players = node.create_players(20).await;
    let awards = players.iter().map(|player| node.award(player, "jackpot"));
    futures::future::join_all(awards).await;
    for player in &players {
        assert_eq!(committed_points(&node, player).await, 100);
    }
    let timeout = std::time::Duration::from_millis(50);
    assert!(
        !node.app.ledger.commits.wait(Uuid::new_v4(), timeout).await,
        "an unknown award is never committed"
    );
}
