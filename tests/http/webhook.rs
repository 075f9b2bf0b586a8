//! Proofs that a game's backend verifies through a webhook, in all three APIs.

use serde_json::{Value, json};

use crate::action::webhook::Backend;
use crate::harness::{TestNode, TestStores, assert_ledger_matches};

async fn start_node(stores: &TestStores, url: &str, per_minute: u32) -> TestNode {
    start_node_with_breaker(stores, url, per_minute, "opens_after = 1000").await
}

async fn start_node_with_breaker(stores: &TestStores, url: &str, per_minute: u32, breaker: &str) -> TestNode {
    let action = format!(
        "[[action]]\ntype = \"raid\"\nnumber = 1\npoints = 10\npoints_by_difficulty = {{ hard = 40 }}\n\
         proof = {{ kind = \"webhook\", url = \"{url}\", secret = \"whsec_{}\", {breaker} }}\n",
        "A".repeat(32)
    );
    let path = stores.write_catalogue(&action);
    stores
        .start_node_with(|config| {
            config.actions.file = path;
            config.limits.updates_per_minute = per_minute;
            config.limits.inits_per_minute = per_minute;
            config.tokens.action_interval_seconds = 0;
        })
        .await
}

#[tokio::test]
async fn the_backend_verifies_proofs_in_all_apis() {
    let (stores, backend) = (TestStores::new().await, Backend::start().await);
    let node = start_node(&stores, &format!("{}/loot", backend.base), 0).await;
    let ada = node.register("ada").await;
    let (valid, invalid) = (json!({ "loot": 7, "anything": [1, { "else": null }] }), json!({ "loot": 8 }));
    let token = node.issue_token(&ada, "raid").await;
    assert_eq!(node.finalize(&ada, &token, valid.clone()).await.body["newScore"], 40);
    let token = node.issue_token(&ada, "raid").await;
    node.finalize(&ada, &token, invalid.clone()).await.assert_refused(422, "PROOF_INVALID");
    node.finalize(&ada, &token, valid.clone()).await.assert_refused(409, "TOKEN_ALREADY_USED");

    let prove = json!({ "actionType": "raid", "proof": valid });
    let proven = node.prove(&ada, &prove).await;
    let requests = backend.requests();
    let redeem = json!({ "actionToken": proven.body["actionToken"] });
    assert_eq!(node.redeem(&ada, &redeem).await.body["newScore"], 80);
    assert_eq!(backend.requests(), requests, "redeeming a proven token must not verify its proof again");

    let game = node.start_game(&ada).await;
    let token = &game.body["data"]["actionToken"];
    let update = json!({ "actionToken": token, "actionType": "raid", "points": 40, "proof": valid });
    let award = node.update_score(&ada, &update).await;
    assert_eq!(award.body["data"]["newScore"], 120, "{}", award.text);
    assert_ledger_matches(&stores).await;
    let proofs: Vec<Value> =
        sqlx::query_scalar("SELECT proof_of_work FROM user_action WHERE proof_of_work IS NOT NULL")
            .fetch_all(&node.app.database)
            .await
            .unwrap();
    assert_eq!(proofs.iter().filter(|proof| **proof == valid).count(), 3, "{proofs:?}");
}

#[tokio::test]
async fn a_failing_backend_spends_no_token() {
    let (stores, backend) = (TestStores::new().await, Backend::start().await);
    let failing = start_node(&stores, &format!("{}/nowhere", backend.base), 0).await;
    let ada = failing.register("ada").await;
    let token = failing.issue_token(&ada, "raid").await;
    let valid = json!({ "loot": 7 });
    failing.wait_for_ledger().await;
    let mut redis_client = stores.redis_client().await;
    let before = redis_client.dump().await;
    for _ in 0..3 {
        let refused = failing.finalize(&ada, &token, valid.clone()).await;
        refused.assert_refused(503, "SERVICE_UNAVAILABLE");
        assert!(!refused.header("retry-after").is_empty());
    }
    let prove = json!({ "antiSpamToken": token, "proof": valid });
    failing.prove(&ada, &prove).await.assert_refused(503, "SERVICE_UNAVAILABLE");
    redis_client.assert_unchanged(&before).await;
    failing.stop().await;
    let node = start_node(&stores, &format!("{}/loot", backend.base), 0).await;
    assert_eq!(node.finalize(&ada, &token, valid).await.body["newScore"], 40);
    assert_ledger_matches(&stores).await;
}

#[tokio::test]
async fn rate_limits_bound_webhook_calls() {
    let (stores, backend) = (TestStores::new().await, Backend::start().await);
    let node = start_node(&stores, &format!("{}/loot", backend.base), 3).await;
    let ada = node.register("ada").await;
    let token = node.issue_token(&ada, "raid").await;
    let mut statuses = Vec::new();
    for _ in 0..8 {
        let response = node.finalize(&ada, &token, json!({ "loot": 8 })).await;
        statuses.push(response.status);
    }
    assert_eq!(statuses, [422, 409, 409, 429, 429, 429, 429, 429]);
    assert_eq!(backend.requests(), 1, "the proof of a spent token must not be verified");
    let prove = json!({ "actionType": "raid", "proof": { "loot": 8 } });
    for status in [422, 422, 429, 429] {
        assert_eq!(node.prove(&ada, &prove).await.status, status);
    }
    assert_eq!(backend.requests(), 3);
}

#[tokio::test]
async fn the_breaker_opens_only_for_players_whose_calls_fail() {
    let (stores, backend) = (TestStores::new().await, Backend::start().await);
    let breaker = "opens_after = 5, open_ms = 3600000";
    let node = start_node_with_breaker(&stores, &format!("{}/loot", backend.base), 0, breaker).await;
    let players = node.create_players(3).await;
    let (honest, cheaters) = players.split_first().unwrap();
    let tokens = [node.issue_token(&cheaters[0], "raid").await, node.issue_token(&cheaters[1], "raid").await];
    for round in 1..=10 {
        for (cheater, token) in cheaters.iter().zip(&tokens) {
            let refused = node.finalize(cheater, token, json!({ "loot": 500 })).await;
            refused.assert_refused(503, "SERVICE_UNAVAILABLE");
        }
        if round % 4 == 0 {
            let token = node.issue_token(honest, "raid").await;
            let award = node.finalize(honest, &token, json!({ "loot": 7 })).await;
            assert_eq!(award.status, 200, "round {round}: {}", award.text);
        }
    }
    let calls = |result: &str| node.app.metrics.webhook_calls.with_label_values(&[result]).get();
    assert_eq!(["answered", "failed", "open_for_user", "open"].map(calls), [2, 10, 10, 0]);
}

#[tokio::test]
async fn a_wrong_proof_spends_the_token_and_a_replay_calls_no_webhook() {
    let (stores, backend) = (TestStores::new().await, Backend::start().await);
    let node = start_node(&stores, &format!("{}/loot", backend.base), 0).await;
    let ada = node.register("ada").await;
    let game = node.start_game(&ada).await;
    let token = game.body["data"]["actionToken"].clone();
    let update = |loot: u64| json!({ "actionToken": token, "actionType": "raid", "points": 40, "proof": { "loot": loot } });
    node.update_score(&ada, &update(1)).await.assert_refused(422, "PROOF_INVALID");
    node.update_score(&ada, &update(7)).await.assert_refused(409, "TOKEN_ALREADY_USED");

    let token = node.issue_token(&ada, "raid").await;
    let body = json!({ "antiSpamToken": token, "proof": { "loot": 7 } });
    let key = [("idempotency-key", "k")];
    let first = node.post_with("/api/v1/actions/finalize", &ada.token, &key, &body).await;
    assert_eq!(first.body["newScore"], 40, "{}", first.text);
    let requests = backend.requests();
    let replay = node.post_with("/api/v1/actions/finalize", &ada.token, &key, &body).await;
    assert_eq!((replay.status, &replay.text, backend.requests()), (200, &first.text, requests));
    assert_ledger_matches(&stores).await;
}
