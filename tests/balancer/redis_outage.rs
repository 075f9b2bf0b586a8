//! A node that is cut off from Redis, and an outage of Redis for all nodes.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use super::play::{Play, check, last_award};
use super::subscribers::{Outcome, Reader, Subscribers};
use super::{Cluster, NAMES};
use crate::harness::{Proxy, TestStores, eventually};

/// The number of requests of a route that a node has answered, from its metrics.
async fn count_requests(node: &str, method: &str, route: &str) -> u64 {
    let text = reqwest::get(format!("{node}/metrics")).await.unwrap().text().await.unwrap();
    let name = format!("laurel_http_request_duration_seconds_count{{method=\"{method}\",route=\"{route}\",");
    let counts = text.lines().filter(|line| line.starts_with(&name));
    counts.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

const PLAYERS: u64 = 10;
const FINALIZE: &str = "/api/v1/actions/finalize";
const BOARD: &str = "/api/v1/scores/leaderboard";

#[tokio::test(flavor = "multi_thread")]
async fn a_node_cut_off_from_redis_gets_reads_but_no_awards() {
    // Not on a cluster: its clients connect to the processes directly, not through a proxy.
    let stores = TestStores::with_shards(1).await;
    let proxy = Proxy::start(&stores.folder.path().join("redis/redis.sock")).await;
    let proxy_url = format!("redis://127.0.0.1:{}", proxy.port);
    let settings = [("REDIS_URL", proxy_url.as_str()), ("LAUREL_REDIS__TIMEOUT_MS", "1000")];
    let cluster = Cluster::start(stores, PLAYERS, [&[], &settings, &[]]).await;
    let cut_off = &cluster.nodes[1].base;
    let reader = Arc::new(Reader::default());
    let reading = tokio::spawn(reader.clone().read(cluster.client.clone(), cluster.balancer.base.clone()));
    let play = Play::start(&cluster);
    play.wait_for_awards().await;

    proxy.drop_data();
    cluster.balancer.wait_until("awards", "b", false).await;
    let (awards, reads) =
        (count_requests(cut_off, "POST", FINALIZE).await, count_requests(cut_off, "GET", BOARD).await);
    play.wait_for_awards().await;
    cluster.balancer.wait_until("nodes", "b", true).await;
    eventually("reads to reach the node", async || {
        (count_requests(cut_off, "GET", BOARD).await > reads).then_some(())
    })
    .await;
    let sent = count_requests(cut_off, "POST", FINALIZE).await - awards;
    assert!(sent <= 2 * PLAYERS, "{sent} awards arrived, more than were in flight");

    proxy.restore();
    cluster.balancer.wait_until("awards", "b", true).await;
    let awards = count_requests(cut_off, "POST", FINALIZE).await;
    eventually("awards to reach the node again", async || {
        (count_requests(cut_off, "POST", FINALIZE).await > awards).then_some(())
    })
    .await;
    let history = play.stop().await;
    reader.stop.store(true, Ordering::Relaxed);
    reading.await.unwrap();
    let unanswered = check(&cluster.stores, &history).await;
    println!("{} requests had no response", unanswered.len());
}

/// Requests a token. Returns whether one was issued; a refusal must be a 503 with `Retry-After`.
async fn try_init(cluster: &Cluster) -> bool {
    let request = cluster.client.post(format!("{}/api/v1/actions/init", cluster.balancer.base));
    let request = request.bearer_auth(&cluster.players[0].login);
    let answer = request.json(&json!({ "actionType": "watch_ad" })).send().await.unwrap();
    let (status, headers) = (answer.status(), answer.headers().clone());
    let body: Value = answer.json().await.unwrap();
    let code = body["metadata"]["errorCode"].as_str();
    let is_refused =
        status == 503 && code == Some("SERVICE_UNAVAILABLE") && headers.contains_key("retry-after");
    assert!(status == 200 || is_refused, "{status}: {body}");
    status == 200
}

#[tokio::test(flavor = "multi_thread")]
async fn during_a_redis_outage_boards_are_served_and_awards_get_503() {
    let mut cluster = Cluster::start(TestStores::new().await, PLAYERS, [&[], &[], &[]]).await;
    let base = cluster.balancer.base.clone();
    let subscribers = Subscribers::start(&base, &cluster.players[0].login, 3).await;
    let reader = Arc::new(Reader::default());
    let reading = tokio::spawn(reader.clone().read(cluster.client.clone(), base.clone()));
    let play = Play::start(&cluster);
    play.wait_for_awards().await;
    let history = play.stop().await;

    cluster.stores.redis.kill().await;
    for name in NAMES {
        while try_init(&cluster).await {}
        cluster.balancer.wait_until("awards", name, false).await;
        assert!(!try_init(&cluster).await);
        cluster.balancer.wait_until("nodes", name, true).await;
    }
    let new_subscribers = Subscribers::start(&base, &cluster.players[1].login, 1).await;
    let boards = reader.answers.load(Ordering::Relaxed);
    eventually("more boards", async || (reader.answers.load(Ordering::Relaxed) > boards + 20).then_some(()))
        .await;

    cluster.stores.redis.restart().await;
    for name in NAMES {
        cluster.balancer.wait_until("awards", name, true).await;
    }
    assert!(try_init(&cluster).await);
    let newest = last_award(&cluster, &[&subscribers, &new_subscribers], &history).await;
    let ended = [subscribers.ended().await, new_subscribers.ended().await].concat();
    for Outcome { protocol, version, reconnects } in &ended {
        let is_expected = *version == newest && *reconnects == 0;
        assert!(is_expected, "{protocol:?}: version {version}, newest {newest}, {reconnects} reconnects");
    }
    reader.stop.store(true, Ordering::Relaxed);
    reading.await.unwrap();
    assert_eq!(check(&cluster.stores, &history).await, Vec::<String>::new());
}
