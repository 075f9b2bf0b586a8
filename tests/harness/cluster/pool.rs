//! Clusters that wait for the next test: starting one costs seconds, emptying one costs nothing.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::future::join_all;
use parking_lot::Mutex;

use super::KeptCluster;
use crate::harness::keeper::keeper;

static FREE: Mutex<Vec<KeptCluster>> = Mutex::new(Vec::new());

/// What a test left connected has to go within this time, or its cluster goes.
const LEAVING_MS: u64 = 20_000;

/// An empty cluster that nobody else uses.
pub async fn take() -> KeptCluster {
    let free = FREE.lock().pop();
    match free {
        Some(cluster) => cluster,
        None => KeptCluster::start().await,
    }
}

/// Takes a cluster back when everybody has left it, and throws a damaged one away.
pub fn give_back(cluster: KeptCluster) {
    if cluster.damaged.load(Ordering::Relaxed) || std::thread::panicking() {
        return;
    }
    keeper().spawn(async move {
        let empty = async {
            while !join_all((0..super::MEMBERS).map(|it| cluster.is_left(it))).await.into_iter().all(|it| it)
            {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            for master in cluster.masters().await {
                let _: () = cluster.ask(master, "FLUSHALL SYNC").await;
                let _: () = cluster.ask(master, "SCRIPT FLUSH").await;
            }
        };
        if tokio::time::timeout(Duration::from_millis(LEAVING_MS), empty).await.is_ok() {
            FREE.lock().push(cluster);
        }
    });
}

impl KeptCluster {
    /// Whether the one who asks is a process' only client.
    async fn is_left(&self, member: usize) -> bool {
        let mut look = self.member(member).await;
        let normal: String = look.ask("CLIENT LIST TYPE normal").await;
        let subscribed: String = look.ask("CLIENT LIST TYPE pubsub").await;
        normal.lines().count() == 1 && subscribed.is_empty()
    }
}
