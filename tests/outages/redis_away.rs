//! Redis is killed, stopped, or swallowed by the network: every door says 503 and when to come back, boards stay up and say
//! how old they are, and all is well again without a restart.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Player, Proxy, TestNode, World, assert_verified, eventually};
use crate::live::Client;

/// How it goes.
#[derive(Clone, Copy, Debug)]
enum Outage {
    Killed,
    Stopped,
    Swallowed,
}

struct Away {
    world: World,
    proxy: Proxy,
    node: TestNode,
    outage: Outage,
}

impl Away {
    async fn new(outage: Outage) -> Self {
        // A cluster's processes are asked where they say they are, past any proxy; what swallows is a connection, and there is
        // one kind of these.
        let world = match outage {
            Outage::Swallowed => World::with_shards(1).await,
            _ => World::new().await,
        };
        let proxy = Proxy::before(&world.folder.path().join("redis/redis.sock")).await;
        let through = format!("redis://127.0.0.1:{}", proxy.port);
        let node = world
            .node_with(|it| {
                it.redis.timeout_ms = 1000;
                if let Outage::Swallowed = outage {
                    it.redis.url = through.into();
                }
                // A door that hangs is found by the client, not hidden by the edge.
                it.server.request_timeout_ms = 600_000;
                it.limits.requests_per_minute_per_ip = 100_000;
                it.limits.requests_per_minute_per_user = 100_000;
                it.tokens.action_interval_seconds = 0;
            })
            .await;
        Self { world, proxy, node, outage }
    }

    async fn begin(&mut self) {
        match self.outage {
            Outage::Killed => self.world.redis.kill().await,
            Outage::Stopped => self.world.redis.stop(),
            Outage::Swallowed => self.proxy.swallow(),
        }
    }

    async fn end(&mut self) {
        match self.outage {
            Outage::Killed => self.world.redis.restart().await,
            Outage::Stopped => self.world.redis.go_on(),
            Outage::Swallowed => self.proxy.mend(),
        }
    }

    async fn board(&self, path: &str, tag: &str) -> Answer {
        self.node.send(Method::GET, path, &[("if-none-match", tag)], Vec::new()).await
    }
}

/// Each door that cannot do without Redis, with a body that would be accepted.
async fn flows(node: &TestNode, player: &Player) -> Vec<(&'static str, Value)> {
    let spare = node.token(player, "watch_ad").await;
    let won = node.token(player, "watch_ad").await;
    let proven =
        node.post("/api/v1/action-tokens", &player.token, &json!({ "actionType": "watch_ad" })).await;
    let game = node.post("/api/game/start", &player.token, &json!({})).await;
    let update =
        json!({ "actionToken": game.body["data"]["actionToken"], "actionType": "watch_ad", "points": 10 });
    vec![
        ("/api/v1/actions/finalize", json!({ "antiSpamToken": won })),
        ("/api/v1/actions/init", json!({ "actionType": "watch_ad" })),
        ("/api/v1/action-tokens", json!({ "actionType": "watch_ad" })),
        ("/api/v1/action-tokens", json!({ "antiSpamToken": spare })),
        ("/api/v1/scores", json!({ "actionToken": proven.body["actionToken"] })),
        ("/api/score/update", update),
        ("/api/game/start", json!({})),
        ("/api/game/end", json!({})),
        ("/api/auth/login", json!({ "username": "ada", "password": "correct horse" })),
    ]
}

async fn refused_everywhere(away: &Away, ada: &Player, flows: &[(&str, Value)]) {
    let bearer = format!("Bearer {}", ada.token);
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let posts = flows.iter().map(async |(path, body)| {
        let headers = [&headers[..], &[("idempotency-key", *path)]].concat();
        (*path, away.node.send(Method::POST, path, &headers, body.to_string().into_bytes()).await)
    });
    let gets = ["/api/game/session", "/api/scoreboard/user/1"]
        .map(async |path| (path, away.node.send(Method::GET, path, &headers, Vec::new()).await));
    let (posts, gets) = futures::join!(futures::future::join_all(posts), futures::future::join_all(gets));
    for (path, answer) in posts.into_iter().chain(gets) {
        assert_eq!((answer.status, answer.code()), (503, "SERVICE_UNAVAILABLE"), "{path}: {}", answer.text);
        assert!(!answer.header("retry-after").is_empty(), "{path}");
    }
}

async fn boards_are_stale(away: &Away, fresh: &Answer) {
    let told = eventually("the board to be marked stale", async || {
        Some(away.node.get("/api/v1/scores/leaderboard").await).filter(|it| it.body["stale"] == true)
    })
    .await;
    assert_eq!((told.status, &told.body["leaderboard"]), (200, &fresh.body["leaderboard"]));
    let age: u64 = told.header("age").parse().unwrap();
    eventually("the board to grow older", async || {
        let top10 = away.node.get("/api/scoreboard/top10").await;
        assert_eq!((top10.status, &top10.body["metadata"]["stale"]), (200, &json!(true)));
        (top10.header("age").parse::<u64>().unwrap() > age).then_some(())
    })
    .await;
    for path in ["/api/v1/scores/leaderboard", "/api/scoreboard/top10"] {
        let again = away.board(path, fresh.header("etag")).await;
        assert_eq!(again.status, 200, "what a client has says nothing of being stale");
        let again = away.board(path, told.header("etag")).await;
        assert_eq!((again.status, again.text.as_str()), (304, ""));
        assert!(!again.header("age").is_empty(), "a 304 tells its age too");
    }
}

async fn outage(outage: Outage) {
    let mut away = Away::new(outage).await;
    let ada = away.node.register("ada").await;
    away.node.award(&ada, "watch_ad").await;
    let mut client = Client::connect(&away.node, &ada).await;
    client.wait_for_board(&[("ada".to_owned(), 10, 1)]).await;
    let fresh = away.node.get("/api/v1/scores/leaderboard").await;
    assert_eq!((&fresh.body["stale"], fresh.header("age")), (&Value::Null, ""));
    let flows = flows(&away.node, &ada).await;
    away.node.written().await;

    away.begin().await;
    refused_everywhere(&away, &ada, &flows).await;
    assert_eq!(client.wait_for("status").await["data"]["degraded"], true);
    boards_are_stale(&away, &fresh).await;
    refused_everywhere(&away, &ada, &flows).await;
    assert_eq!(away.node.get("/readyz/awards").await.status, 503);

    away.end().await;
    assert_eq!(
        client.wait_for("status").await["data"]["degraded"],
        false,
        "it was told once that it is away"
    );
    // What a stopped Redis was asked before it was given up it does when it goes on; a retry is told what.
    let (path, finalize) = &flows[0];
    let won = eventually("awards to be taken again", async || {
        let retry = away.node.post_with(path, &ada.token, &[("idempotency-key", *path)], finalize).await;
        Some(retry).filter(|it| it.status != 503)
    })
    .await;
    assert_eq!(won.status, 200, "{}", won.text);
    let total = away.node.award(&ada, "watch_ad").await.body["newScore"].as_u64().unwrap();
    client.wait_for_board(&[("ada".to_owned(), total, 1)]).await;
    let fresh = away.node.get("/api/v1/scores/leaderboard").await;
    assert_eq!((&fresh.body["stale"], fresh.header("age")), (&Value::Null, ""));
    assert_verified(&away.world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_is_killed() {
    outage(Outage::Killed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_is_stopped() {
    outage(Outage::Stopped).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_is_swallowed_by_the_network() {
    outage(Outage::Swallowed).await;
}
