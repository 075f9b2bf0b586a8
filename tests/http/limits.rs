//! Rate limits per user and address, and the cap of an action. A full window costs Redis no script.

use serde_json::{Value, json};

use crate::harness::{TestNode, TestStores};

#[tokio::test]
async fn attempts_per_minute_are_limited_across_nodes() {
    let stores = TestStores::new().await;
    let one = stores.start_node_with(|config| config.limits.updates_per_minute = 10).await;
    let two = stores.start_node_with(|config| config.limits.updates_per_minute = 10).await;
    let ada = one.register("ada").await;
    for attempt in 0..9 {
        let node = if attempt % 2 == 0 { &one } else { &two };
        let response = match attempt % 3 {
            0 => node.finalize(&ada, "forged", Value::Null).await,
            1 => node.post("/api/v1/actions/finalize", &ada.token, &json!({ "nonsense": 1 })).await,
            _ => node.finalize(&ada, "", Value::Null).await,
        };
        assert_eq!(response.header("ratelimit-remaining"), (9 - attempt).to_string(), "{}", response.text);
    }
    let (first, second) = (one.issue_token(&ada, "watch_ad").await, one.issue_token(&ada, "watch_ad").await);
    let tenth = two.finalize(&ada, &first, Value::Null).await;
    assert_eq!((tenth.status, tenth.header("ratelimit-remaining")), (200, "0"));
    let refused = one.finalize(&ada, &second, Value::Null).await;
    refused.assert_refused(429, "RATE_LIMIT_EXCEEDED");
    let retry: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&retry));
    assert_eq!(one.board().await, [("ada".to_owned(), 10, 1)]);
}

#[tokio::test]
async fn inits_per_minute_are_limited() {
    let stores = TestStores::new().await;
    let node = stores.start_node_with(|config| config.limits.inits_per_minute = 10).await;
    let ada = node.register("ada").await;
    for left in (0..10).rev() {
        let response = node.init(&ada, "watch_ad").await;
        assert_eq!(
            (response.status, response.header("ratelimit-remaining")),
            (200, left.to_string().as_str())
        );
    }
    node.init(&ada, "watch_ad").await.assert_refused(429, "RATE_LIMIT_EXCEEDED");
}

#[tokio::test]
async fn the_daily_bonus_is_limited_to_once_a_day() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let ada = node.register("ada").await;
    let (first, second) =
        (node.issue_token(&ada, "daily_bonus").await, node.issue_token(&ada, "daily_bonus").await);
    assert_eq!(node.finalize(&ada, &first, Value::Null).await.status, 200);
    let refused = node.finalize(&ada, &second, Value::Null).await;
    refused.assert_refused(429, "ACTION_LIMIT_REACHED");
    let retry: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=86_400).contains(&retry));
    node.init(&ada, "daily_bonus").await.assert_refused(429, "ACTION_LIMIT_REACHED");
    node.award(&ada, "watch_ad").await;
}

#[tokio::test]
async fn requests_per_address_are_limited() {
    let stores = TestStores::new().await;
    let node = stores.start_node_with(|config| config.limits.requests_per_minute_per_ip = 3).await;
    for _ in 0..3 {
        assert_eq!(node.get("/api/v1/scores/leaderboard").await.status, 200);
    }
    let refused = node.get("/api/v1/scores/leaderboard").await;
    refused.assert_refused(429, "RATE_LIMIT_EXCEEDED");
    assert_eq!(node.get("/readyz").await.status, 200);
}

/// Successful runs of a script.
fn script_runs(node: &TestNode, script: &str) -> u64 {
    let labels = format!("result=\"ok\",script=\"{script}\"");
    node.metric("laurel_redis_script_duration_seconds_count", &labels)
}

#[tokio::test]
async fn a_full_rate_limit_calls_no_script() {
    let stores = TestStores::new().await;
    let node = stores
        .start_node_with(|config| {
            config.limits.updates_per_minute = 2;
            config.limits.inits_per_minute = 2;
            config.limits.starts_per_hour = 2;
            config.limits.logins_per_minute = 2;
        })
        .await;
    let ada = node.register("ada").await;
    let login = json!({ "username": "ada", "password": "correct horse" });
    let prove = json!({ "actionType": "watch_ad" });
    let mut runs = Vec::new();
    for round in 0..20 {
        let responses = [
            node.finalize(&ada, "forged", Value::Null).await,
            node.init(&ada, "watch_ad").await,
            node.prove(&ada, &prove).await,
            node.start_game(&ada).await,
            node.post("/api/auth/login", "", &login).await,
        ];
        if round >= 3 {
            assert!(
                responses
                    .iter()
                    .all(|response| response.status == 429 && !response.header("retry-after").is_empty())
            );
        }
        runs.push(["attempt", "issue", "prove", "start", "redeem"].map(|script| script_runs(&node, script)));
    }
    assert_eq!(runs[3], runs[19], "{runs:?}");
    assert!(runs[19].iter().sum::<u64>() <= 20, "{runs:?}");
}

#[tokio::test]
async fn stored_responses_are_replayed_despite_a_full_rate_limit() {
    let stores = TestStores::new().await;
    let node = stores
        .start_node_with(|config| {
            config.limits.updates_per_minute = 2;
            config.limits.inits_per_minute = 4;
        })
        .await;
    let (ada, mut redis_client) = (node.register("ada").await, stores.redis_client().await);
    let send = async |path: &str, key: &str, body: &Value| {
        node.post_with(path, &ada.token, &[("idempotency-key", key)], body).await
    };
    let finalize = json!({ "antiSpamToken": node.issue_token(&ada, "watch_ad").await });
    let prove = json!({ "actionType": "watch_ad" });
    let requests = [("/api/v1/actions/finalize", &finalize), ("/api/v1/action-tokens", &prove)];
    let mut first = Vec::new();
    for (path, body) in requests {
        first.push(send(path, "stored", body).await);
    }
    assert_eq!(
        (first[0].status, first[1].status),
        (200, 409),
        "one key for two endpoints is refused: {}",
        first[1].text
    );
    first[1] = send(requests[1].0, "stored-too", requests[1].1).await;
    assert_eq!(first[1].status, 201, "{}", first[1].text);
    while node.finalize(&ada, "forged", Value::Null).await.status != 429 {}
    while node.init(&ada, "watch_ad").await.status != 429 {}

    let scripts = ["attempt", "issue", "prove", "redeem"];
    let windows = ["awards", "inits"].map(|name| format!("GET rate:{name}:{}", ada.identity.user));
    let reads = || {
        let labels = "operation=\"find_answer\",result=\"ok\"";
        node.metric("laurel_redis_command_duration_seconds_count", labels)
    };
    let before = (scripts.map(|script| script_runs(&node, script)), reads());
    let counted: [u64; 2] = [redis_client.query(&windows[0]).await, redis_client.query(&windows[1]).await];
    for round in 0..20 {
        for (path, body) in requests {
            let refused = send(path, &format!("fresh-{round}"), body).await;
            refused.assert_refused(429, "RATE_LIMIT_EXCEEDED");
        }
    }
    assert_eq!((scripts.map(|script| script_runs(&node, script)), reads()), (before.0, before.1 + 40));
    assert_eq!(
        [redis_client.query::<u64>(&windows[0]).await, redis_client.query(&windows[1]).await],
        counted
    );
    for ((path, body), (key, first)) in
        requests.into_iter().zip(["stored", "stored-too"].into_iter().zip(first))
    {
        let replay = send(path, key, body).await;
        assert_eq!((replay.status, &replay.text), (first.status, &first.text));
        assert_eq!(replay.header("idempotent-replayed"), "true");
    }
}
