//! One node cut off from Redis, and all nodes without Redis.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use super::play::{Play, judge, last_award};
use super::subscribers::{Reader, Subscribers};
use super::{Cluster, NAMES};
use crate::harness::{Proxy, TestStores, eventually};

/// Number of requests of a method and a route that a node answered, from its metrics.
async fn answered(node: &str, method: &str, route: &str) -> u64 {
    let text = reqwest::get(format!("{node}/metrics")).await.unwrap().text().await.unwrap();
    let name = format!("laurel_http_request_duration_seconds_count{{method=\"{method}\",route=\"{route}\",");
    let counts = text.lines().filter(|it| it.starts_with(&name));
    counts.map(|it| it.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

const PLAYERS: u64 = 10;
const FINALIZE: &str = "/api/v1/actions/finalize";
const BOARD: &str = "/api/v1/scores/leaderboard";

#[tokio::test(flavor = "multi_thread")]
async fn a_node_cut_off_from_redis_gets_reads_but_no_awards() {
    // Clients of a cluster connect to its processes directly, past any proxy.
    let stores = TestStores::with_shards(1).await;
    let proxy = Proxy::start(&stores.folder.path().join("redis/redis.sock")).await;
    let through = format!("redis://127.0.0.1:{}", proxy.port);
    let own = [("REDIS_URL", through.as_str()), ("LAUREL_REDIS__TIMEOUT_MS", "1000")];
    let cluster = Cluster::start(stores, PLAYERS, [&[], &own, &[]]).await;
    let cut_off = &cluster.nodes[1].base;
    let reader = Arc::new(Reader::default());
    let reading = tokio::spawn(reader.clone().read(cluster.client.clone(), cluster.balancer.base.clone()));
    let play = Play::start(&cluster);
    play.goes_on().await;

    proxy.drop_data();
    cluster.balancer.wait_until("awards", "b", false).await;
    let (awards, reads) = (answered(cut_off, "POST", FINALIZE).await, answered(cut_off, "GET", BOARD).await);
    play.goes_on().await;
    cluster.balancer.wait_until("nodes", "b", true).await;
    eventually("reads to reach it", async || (answered(cut_off, "GET", BOARD).await > reads).then_some(()))
        .await;
    let late = answered(cut_off, "POST", FINALIZE).await - awards;
    assert!(late <= 2 * PLAYERS, "{late} arrived, more than were in flight");

    proxy.restore();
    cluster.balancer.wait_until("awards", "b", true).await;
    let awards = answered(cut_off, "POST", FINALIZE).await;
    eventually("awards to reach it again", async || {
        (answered(cut_off, "POST", FINALIZE).await > awards).then_some(())
    })
    .await;
    let history = play.stop().await;
    reader.stop.store(true, Ordering::Relaxed);
    reading.await.unwrap();
    let unanswered = judge(&cluster.stores, &history).await;
    println!("{} tokens had a repeated request", unanswered.len());
}

/// Requests a token, and returns whether it got one; a refusal must be a 503 with `Retry-After`.
async fn ask(cluster: &Cluster) -> bool {
    let request = cluster.client.post(format!("{}/api/v1/actions/init", cluster.balancer.base));
    let request = request.bearer_auth(&cluster.players[0].login);
    let answer = request.json(&json!({ "actionType": "watch_ad" })).send().await.unwrap();
    let (status, headers) = (answer.status(), answer.headers().clone());
    let body: Value = answer.json().await.unwrap();
    let code = body["metadata"]["errorCode"].as_str();
    let refused = status == 503 && code == Some("SERVICE_UNAVAILABLE") && headers.contains_key("retry-after");
    assert!(status == 200 || refused, "{status}: {body}");
    status == 200
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_boards_and_subscribers_stay_and_awards_get_503() {
    let mut cluster = Cluster::start(TestStores::new().await, PLAYERS, [&[], &[], &[]]).await;
    let base = cluster.balancer.base.clone();
    let subscribers = Subscribers::start(&base, &cluster.players[0].login, 3).await;
    let reader = Arc::new(Reader::default());
    let reading = tokio::spawn(reader.clone().read(cluster.client.clone(), base.clone()));
    let play = Play::start(&cluster);
    play.goes_on().await;
    let history = play.stop().await;

    cluster.stores.redis.kill().await;
    for name in NAMES {
        while ask(&cluster).await {}
        cluster.balancer.wait_until("awards", name, false).await;
        assert!(!ask(&cluster).await);
        cluster.balancer.wait_until("nodes", name, true).await;
    }
    let others = Subscribers::start(&base, &cluster.players[1].login, 1).await;
    let read = reader.answers.load(Ordering::Relaxed);
    eventually("more boards", async || (reader.answers.load(Ordering::Relaxed) > read + 20).then_some(()))
        .await;

    cluster.stores.redis.restart().await;
    for name in NAMES {
        cluster.balancer.wait_until("awards", name, true).await;
    }
    assert!(ask(&cluster).await);
    let newest = last_award(&cluster, &[&subscribers, &others], &history).await;
    let ended = [subscribers.ended().await, others.ended().await].concat();
    for it in &ended {
        assert!(it.version == newest && it.reconnects == 0, "{:?} {it:?}, newest {newest}", it.protocol);
    }
    reader.stop.store(true, Ordering::Relaxed);
    reading.await.unwrap();
    assert_eq!(judge(&cluster.stores, &history).await, Vec::<String>::new());
}
