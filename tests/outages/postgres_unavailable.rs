//! Postgres is stopped, or its network drops all data. Awards go on, requests that need Postgres get 503, and the ledger catches up when
//! Postgres is back.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Player, Proxy, TestNode, TestStores, assert_ledger_matches, eventually};

async fn wait_for_degraded(node: &TestNode, wanted: &[&str]) {
    eventually(&format!("{wanted:?} to be degraded"), async || {
        (node.get("/readyz").await.body["degraded"] == json!(wanted)).then_some(())
    })
    .await;
}

async fn assert_awards_go_on(
    node: &TestNode,
    ada: &Player,
    outage: impl AsyncFnOnce(),
    end: impl AsyncFnOnce(),
) {
    let game = node.post("/api/game/start", &ada.token, &json!({})).await;
    node.award(ada, "watch_ad").await;
    node.wait_for_ledger().await;
    outage().await;
    let bearer = format!("Bearer {}", ada.token);
    let login = json!({ "username": "ada", "password": "correct horse" });
    let register = json!({ "username": "bob", "email": "bob@example.com", "password": "correct horse" });
    for round in 0..2 {
        let headers = [("authorization", bearer.as_str())];
        let responses = futures::join!(
            node.post("/api/auth/login", "", &login),
            node.post("/api/auth/register", "", &register),
            node.send(Method::GET, "/api/scoreboard/user/2", &headers, Vec::new()),
        );
        for response in [responses.0, responses.1, responses.2] {
            response.assert_refused(503, "SERVICE_UNAVAILABLE");
            assert_eq!(response.header("retry-after"), "1", "{round}");
        }
    }
    wait_for_degraded(node, &["postgres"]).await;
    let rank =
        node.send(Method::GET, "/api/scoreboard/user/1", &[("authorization", &bearer)], Vec::new()).await;
    assert_eq!(rank.body["data"]["score"], 10, "the caller's rank needs no Postgres: {}", rank.text);
    assert_eq!(node.get("/readyz").await.status, 200);
    assert_eq!(node.get("/readyz/awards").await.status, 200, "awards go on");
    let update =
        json!({ "actionToken": game.body["data"]["actionToken"], "actionType": "watch_ad", "points": 10 });
    let award = node.post("/api/score/update", &ada.token, &update).await;
    assert_eq!(award.body["data"]["newScore"], 20, "{}", award.text);
    for round in 3..=20 {
        assert_eq!(node.award(ada, "watch_ad").await.body["newScore"], round * 10);
    }
    let board = node.get("/api/v1/scores/leaderboard").await;
    assert_eq!((&board.body["leaderboard"][0]["score"], &board.body["stale"]), (&json!(200), &Value::Null));
    assert!(node.app.store.poll(0, i64::MAX).await.unwrap().outbox >= 37, "nothing is written");

    end().await;
    wait_for_degraded(node, &[]).await;
    eventually("logins to work again", async || {
        (node.post("/api/auth/login", "", &login).await.status == 200).then_some(())
    })
    .await;
    node.wait_for_ledger().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn awards_go_on_while_postgres_is_stopped() {
    let (stores, mut postgres) = TestStores::with_own_postgres().await;
    let node = stores.start_node_with(|it| it.server.request_timeout_ms = 600_000).await;
    let ada = node.register("ada").await;
    let postgres = tokio::sync::Mutex::new(&mut postgres);
    let (stop, restart) =
        (async || postgres.lock().await.stop().await, async || postgres.lock().await.restart().await);
    assert_awards_go_on(&node, &ada, stop, restart).await;
    assert_ledger_matches(&stores).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn awards_go_on_while_postgres_is_unreachable() {
    let stores = TestStores::new().await;
    let url = stores.config.postgres.url.expose().to_owned();
    let (path, query) = url.trim_start_matches("postgres:///").split_once('?').unwrap();
    let host = query.split('&').find_map(|it| it.strip_prefix("host=")).unwrap();
    let proxy = Proxy::start(&std::path::Path::new(host).join(".s.PGSQL.5432")).await;
    let proxy_url = format!("postgres://laurel@127.0.0.1:{}/{path}?sslmode=disable", proxy.port);
    let node = stores
        .start_node_with(|config| {
            config.postgres.url = proxy_url.into();
            config.postgres.acquire_timeout_ms = 3000;
            config.server.request_timeout_ms = 600_000;
        })
        .await;
    let ada = node.register("ada").await;
    assert_awards_go_on(&node, &ada, async || proxy.drop_data(), async || proxy.restore()).await;
    assert_ledger_matches(&stores).await;
}
