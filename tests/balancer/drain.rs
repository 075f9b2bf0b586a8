//! A draining node still serves its long-polling clients.

use serde_json::json;

use super::Cluster;
use super::play::award;
use super::suite::history::History;
use crate::harness::TestStores;
use crate::live::clients::Polling;

#[tokio::test(flavor = "multi_thread")]
async fn polls_reach_a_draining_node() {
    let slow_drain = [("LAUREL_SERVER__DRAIN_NOTICE_MS", "600000")];
    let mut cluster = Cluster::start(TestStores::new().await, 1, [&slow_drain, &[], &[]]).await;
    let mut session = loop {
        let session = Polling::open(&cluster.balancer.base).await.unwrap();
        if session.sid.starts_with("a.") {
            break session;
        }
    };
    session.send(&format!("40{}", json!({ "token": cluster.players[0].login }))).await;
    while !session.receive().await.unwrap().starts_with("42[\"scoreboard:update\"") {}

    cluster.nodes[0].send_sigterm();
    for backend in ["nodes", "awards"] {
        cluster.balancer.wait_until(backend, "a", false).await;
    }
    for _ in 0..6 {
        let new = Polling::open(&cluster.balancer.base).await.unwrap();
        assert!(!new.sid.starts_with("a."), "{}", new.sid);
    }
    award(&cluster, &cluster.players[0], &History::new()).await;
    while !session.receive().await.unwrap().starts_with("42[\"scoreboard:update\"") {}
    cluster.nodes[0].kill();
}
