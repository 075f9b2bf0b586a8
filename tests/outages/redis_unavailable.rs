//! Redis is killed or stopped, or its network drops all data. Requests get 503 with Retry-After, boards stay available with their age,
//! and the node recovers without a restart.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Player, Proxy, TestNode, TestResponse, TestStores, assert_ledger_matches, eventually};
use crate::live::Client;

/// The kind of outage.
#[derive(Clone, Copy, Debug)]
enum Outage {
    Killed,
    Stopped,
    Unreachable,
}

struct Scenario {
    stores: TestStores,
    proxy: Proxy,
    node: TestNode,
    outage: Outage,
}

impl Scenario {
    async fn new(outage: Outage) -> Self {
        // Nodes would connect to the members of a cluster directly, not through the proxy.
        let stores = match outage {
            Outage::Unreachable => TestStores::with_shards(1).await,
            _ => TestStores::new().await,
        };
        let proxy = Proxy::start(&stores.folder.path().join("redis/redis.sock")).await;
        let proxy_url = format!("redis://127.0.0.1:{}", proxy.port);
        let node = stores
            .start_node_with(|config| {
                config.redis.timeout_ms = 1000;
                if let Outage::Unreachable = outage {
                    config.redis.url = proxy_url.into();
                }
                // The request time-out must not hide a request that hangs.
                config.server.request_timeout_ms = 600_000;
                config.limits.requests_per_minute_per_ip = 100_000;
                config.limits.requests_per_minute_per_user = 100_000;
                config.tokens.action_interval_seconds = 0;
            })
            .await;
        Self { stores, proxy, node, outage }
    }

    async fn begin(&mut self) {
        match self.outage {
            Outage::Killed => self.stores.redis.kill().await,
            Outage::Stopped => self.stores.redis.stop(),
            Outage::Unreachable => self.proxy.drop_data(),
        }
    }

    async fn end(&mut self) {
        match self.outage {
            Outage::Killed => self.stores.redis.restart().await,
            Outage::Stopped => self.stores.redis.resume(),
            Outage::Unreachable => self.proxy.restore(),
        }
    }

    async fn get_board(&self, path: &str, tag: &str) -> TestResponse {
        self.node.send(Method::GET, path, &[("if-none-match", tag)], Vec::new()).await
    }
}

/// Prepares requests that need Redis and that Laurel would accept.
async fn prepare_requests(node: &TestNode, player: &Player) -> Vec<(&'static str, Value)> {
    let traded = node.issue_token(player, "watch_ad").await;
    let redeemed = node.issue_token(player, "watch_ad").await;
    let verified =
        node.post("/api/v1/action-tokens", &player.token, &json!({ "actionType": "watch_ad" })).await;
    let game = node.post("/api/game/start", &player.token, &json!({})).await;
    let update =
        json!({ "actionToken": game.body["data"]["actionToken"], "actionType": "watch_ad", "points": 10 });
    vec![
        ("/api/v1/actions/finalize", json!({ "antiSpamToken": redeemed })),
        ("/api/v1/actions/init", json!({ "actionType": "watch_ad" })),
        ("/api/v1/action-tokens", json!({ "actionType": "watch_ad" })),
        ("/api/v1/action-tokens", json!({ "antiSpamToken": traded })),
        ("/api/v1/scores", json!({ "actionToken": verified.body["actionToken"] })),
        ("/api/score/update", update),
        ("/api/game/start", json!({})),
        ("/api/game/end", json!({})),
        ("/api/auth/login", json!({ "username": "ada", "password": "correct horse" })),
    ]
}

async fn assert_all_refused(scenario: &Scenario, ada: &Player, requests: &[(&str, Value)]) {
    let bearer = format!("Bearer {}", ada.token);
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let posts = requests.iter().map(async |(path, body)| {
        let headers = [&headers[..], &[("idempotency-key", *path)]].concat();
        (*path, scenario.node.send(Method::POST, path, &headers, body.to_string().into_bytes()).await)
    });
    let gets = ["/api/game/session", "/api/scoreboard/user/1"]
        .map(async |path| (path, scenario.node.send(Method::GET, path, &headers, Vec::new()).await));
    let (posts, gets) = futures::join!(futures::future::join_all(posts), futures::future::join_all(gets));
    for (path, response) in posts.into_iter().chain(gets) {
        assert_eq!(
            (response.status, response.code()),
            (503, "SERVICE_UNAVAILABLE"),
            "{path}: {}",
            response.text
        );
        assert!(!response.header("retry-after").is_empty(), "{path}");
    }
}

async fn assert_boards_are_stale(scenario: &Scenario, fresh: &TestResponse) {
    let stale = eventually("the board to be marked stale", async || {
        Some(scenario.node.get("/api/v1/scores/leaderboard").await)
            .filter(|response| response.body["stale"] == true)
    })
    .await;
    assert_eq!((stale.status, &stale.body["leaderboard"]), (200, &fresh.body["leaderboard"]));
    let age: u64 = stale.header("age").parse().unwrap();
    eventually("the board to grow older", async || {
        let top10 = scenario.node.get("/api/scoreboard/top10").await;
        assert_eq!((top10.status, &top10.body["metadata"]["stale"]), (200, &json!(true)));
        (top10.header("age").parse::<u64>().unwrap() > age).then_some(())
    })
    .await;
    for path in ["/api/v1/scores/leaderboard", "/api/scoreboard/top10"] {
        let response = scenario.get_board(path, fresh.header("etag")).await;
        assert_eq!(response.status, 200, "the tag of a fresh board does not match a stale one");
        let response = scenario.get_board(path, stale.header("etag")).await;
        assert_eq!((response.status, response.text.as_str()), (304, ""));
        assert!(!response.header("age").is_empty(), "a 304 has an age");
    }
}

async fn run_outage(outage: Outage) {
    let mut scenario = Scenario::new(outage).await;
    let ada = scenario.node.register("ada").await;
    scenario.node.award(&ada, "watch_ad").await;
    let mut client = Client::connect(&scenario.node, &ada).await;
    client.wait_for_board(&[("ada".to_owned(), 10, 1)]).await;
    let fresh = scenario.node.get("/api/v1/scores/leaderboard").await;
    assert_eq!((&fresh.body["stale"], fresh.header("age")), (&Value::Null, ""));
    let requests = prepare_requests(&scenario.node, &ada).await;
    scenario.node.wait_for_ledger().await;

    scenario.begin().await;
    assert_all_refused(&scenario, &ada, &requests).await;
    assert_eq!(client.wait_for("status").await["data"]["degraded"], true);
    assert_boards_are_stale(&scenario, &fresh).await;
    assert_all_refused(&scenario, &ada, &requests).await;
    assert_eq!(scenario.node.get("/readyz/awards").await.status, 503);

    scenario.end().await;
    assert_eq!(client.wait_for("status").await["data"]["degraded"], false, "the end of the outage is sent");
    // A stopped Redis executes the commands that it received before the time-out. A retry gets their response.
    let (path, finalize) = &requests[0];
    let award = eventually("awards to be accepted again", async || {
        let retry = scenario.node.post_with(path, &ada.token, &[("idempotency-key", *path)], finalize).await;
        Some(retry).filter(|response| response.status != 503)
    })
    .await;
    assert_eq!(award.status, 200, "{}", award.text);
    let score = scenario.node.award(&ada, "watch_ad").await.body["newScore"].as_u64().unwrap();
    client.wait_for_board(&[("ada".to_owned(), score, 1)]).await;
    let fresh = scenario.node.get("/api/v1/scores/leaderboard").await;
    assert_eq!((&fresh.body["stale"], fresh.header("age")), (&Value::Null, ""));
    assert_ledger_matches(&scenario.stores).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_is_killed() {
    run_outage(Outage::Killed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_is_stopped() {
    run_outage(Outage::Stopped).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_is_unreachable() {
    run_outage(Outage::Unreachable).await;
}
