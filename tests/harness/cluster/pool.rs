//! Clusters that wait for the next test: starting one costs seconds, emptying one costs nothing, and keeping one that nobody wants a
//! fifth of a small machine.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures::future::join_all;
use parking_lot::Mutex;

use super::KeptCluster;
use crate::harness::keeper::keeper;

/// Since when each is free.
static FREE: Mutex<Vec<(Instant, KeptCluster)>> = Mutex::new(Vec::new());

/// So long a cluster waits for a test.
const WAITS: Duration = Duration::from_secs(20);

/// What a test left connected has to go within this time, or its cluster goes.
const LEAVING_MS: u64 = 20_000;

/// An empty cluster that nobody else uses.
pub async fn take() -> KeptCluster {
    let free = FREE.lock().pop();
    match free {
        Some((_, cluster)) => cluster,
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
            FREE.lock().push((Instant::now(), cluster));
            tokio::time::sleep(WAITS).await;
            let unwanted: Vec<_> =
                FREE.lock().extract_if(.., |(since, _)| since.elapsed() >= WAITS).collect();
            drop(unwanted);
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
