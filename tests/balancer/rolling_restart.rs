//! Each node is restarted under load, one after another, and no request fails.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Cluster;
use super::play::{Play, judge, last_award};
use super::subscribers::{Reader, Subscribers};
use crate::harness::TestStores;

#[tokio::test(flavor = "multi_thread")]
async fn nodes_are_restarted_one_by_one_and_no_request_fails() {
    let mut cluster = Cluster::start(TestStores::new().await, 10, [&[], &[], &[]]).await;
    let base = cluster.balancer.base.clone();
    let subscribers = Subscribers::start(&base, &cluster.players[0].login, 3).await;
    let reader = Arc::new(Reader::default());
    let reading = tokio::spawn(reader.clone().read(cluster.client.clone(), base));
    let play = Play::start(&cluster);
    for turn in 0..cluster.nodes.len() {
        play.goes_on().await;
        assert_eq!(cluster.restart(turn).await, Some(0));
    }
    play.goes_on().await;
    let history = play.stop().await;
    reader.stop.store(true, Ordering::Relaxed);
    reading.await.unwrap();

    let newest = last_award(&cluster, &[&subscribers], &history).await;
    let ended = subscribers.ended().await;
    for it in &ended {
        assert!(it.version == newest && it.reconnects > 0, "{:?} {it:?}, newest {newest}", it.protocol);
    }
    let unanswered = judge(&cluster.stores, &history).await;
    assert!(unanswered.is_empty(), "{}", unanswered.join("\n"));
    assert_eq!(*history.not_issued.lock(), (0, String::new()));
    let (answers, older) = (reader.answers.load(Ordering::Relaxed), reader.older.load(Ordering::Relaxed));
    println!("{ended:?}\n{answers} boards read, {older} of them older than the one before");
}
