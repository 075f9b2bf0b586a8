//! The clock of Redis is set back by a day while nodes serve.

use std::time::Duration;

use laurel::admin;
use laurel::config::Config;
use serde_json::Value;

use crate::harness::{TestStores, assert_ledger_matches, eventually};

/// The time-out of an adjustment, long enough for a busy machine.
const TIMEOUT: Duration = Duration::from_secs(60);

#[tokio::test]
async fn requests_go_on_after_the_clock_is_set_back() {
    let stores = TestStores::with_fake_clock().await;
    let limit = |config: &mut Config| config.limits.updates_per_minute = 3;
    let (node, other) = (stores.start_node_with(limit).await, stores.start_node_with(limit).await);
    let (ada, bob) = (node.register("ada").await, node.register("bob").await);
    stores.redis.set_clock("+86400");
    for _ in 0..3 {
        node.award(&ada, "watch_ad").await;
    }
    let token = node.issue_token(&ada, "watch_ad").await;
    node.finalize(&ada, &token, Value::Null).await.assert_refused(429, "RATE_LIMIT_EXCEEDED");
    stores.redis.set_clock("+0");

    // The other node has not cached the full window, so it sends the request to Redis.
    let refused = other.finalize(&ada, &token, Value::Null).await;
    refused.assert_refused(429, "RATE_LIMIT_EXCEEDED");
    for name in ["retry-after", "ratelimit-reset"] {
        assert!((1..=60).contains(&refused.header(name).parse::<u64>().unwrap()), "{name}: {refused:?}");
    }
    let mut redis_client = stores.redis_client().await;
    let left_ms: u64 = redis_client.query(&format!("PTTL rate:awards:{}", ada.identity.user)).await;
    assert!(left_ms <= 60_000, "{left_ms} ms");

    other.award(&bob, "complete_level").await;
    let board = [("ada".to_owned(), 30, 1), ("bob".to_owned(), 20, 2)];
    eventually("the board to be published", async || {
        let mut redis_client = stores.redis_client().await;
        let (version, published): (i64, i64) = (
            redis_client.query("HGET leaderboard:global:state version").await,
            redis_client.query("HGET leaderboard:global:state published").await,
        );
        let boards = (node.board().await, other.board().await);
        (version == published && boards == (board.to_vec(), board.to_vec())).then_some(())
    })
    .await;

    let user = admin::find_user(&node.app.admin, "bob").await.unwrap();
    let decision = admin::Decision { actor: "test".into(), host: None, reason: "a gift".into() };
    let adjusted = admin::adjust(&node.app.admin, &user, 500, None, &decision);
    tokio::time::timeout(TIMEOUT, adjusted).await.expect("an adjustment in time").unwrap();
    node.wait_for_ledger().await;
    assert_ledger_matches(&stores).await;
}
