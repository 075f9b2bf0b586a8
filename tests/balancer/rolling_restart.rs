//! The nodes are restarted under load, one after another, and no request fails.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Cluster;
use super::play::{Play, check, last_award};
use super::subscribers::{Outcome, Reader, Subscribers};
use crate::harness::TestStores;

#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_during_a_rolling_restart() {
    let mut cluster = Cluster::start(TestStores::new().await, 10, [&[], &[], &[]]).await;
    let base = cluster.balancer.base.clone();
    let subscribers = Subscribers::start(&base, &cluster.players[0].login, 3).await;
    let reader = Arc::new(Reader::default());
    let reading = tokio::spawn(reader.clone().read(cluster.client.clone(), base));
    let play = Play::start(&cluster);
    for node in 0..cluster.nodes.len() {
        play.wait_for_awards().await;
        assert_eq!(cluster.restart(node).await, Some(0));
    }
    play.wait_for_awards().await;
    let history = play.stop().await;
    reader.stop.store(true, Ordering::Relaxed);
    reading.await.unwrap();

    let newest = last_award(&cluster, &[&subscribers], &history).await;
    let ended = subscribers.ended().await;
    for Outcome { protocol, version, reconnects } in &ended {
        let is_expected = *version == newest && *reconnects > 0;
        assert!(is_expected, "{protocol:?}: version {version}, newest {newest}, {reconnects} reconnects");
    }
    let unanswered = check(&cluster.stores, &history).await;
    assert!(unanswered.is_empty(), "{}", unanswered.join("\n"));
    assert_eq!(*history.not_issued.lock(), (0, String::new()));
    let (answers, older) = (reader.answers.load(Ordering::Relaxed), reader.older.load(Ordering::Relaxed));
    println!("{ended:?}\n{answers} boards read, {older} of them older than the previous one");
}
