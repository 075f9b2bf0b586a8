//! A pool of clusters. A start of a cluster takes seconds, a reuse takes milliseconds. An idle cluster uses a fifth of a small machine, so it
//! ends after 20 s.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures::future::join_all;
use parking_lot::Mutex;

use super::TestCluster;
use crate::harness::store_processes::store_runtime;

/// Free clusters, each with the time of its return.
static FREE: Mutex<Vec<(Instant, TestCluster)>> = Mutex::new(Vec::new());

/// How long a free cluster waits for the next test.
const MAX_IDLE: Duration = Duration::from_secs(20);

/// How long the clients of the last test may take to disconnect. After that the cluster ends.
const DISCONNECT_MS: u64 = 20_000;

/// Takes an empty cluster from the pool, or starts one.
pub async fn take_from_pool() -> TestCluster {
    let free = FREE.lock().pop();
    match free {
        Some((_, cluster)) => cluster,
        None => TestCluster::start().await,
    }
}

/// Returns a cluster to the pool when all clients are disconnected. A changed cluster ends instead.
pub fn return_to_pool(cluster: TestCluster) {
    if cluster.is_changed.load(Ordering::Relaxed) || std::thread::panicking() {
        return;
    }
    store_runtime().spawn(async move {
        let empty = async {
            while join_all((0..super::MEMBERS).map(|member| cluster.is_unused(member))).await.contains(&false)
            {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            for master in cluster.masters().await {
                let _: () = cluster.query(master, "FLUSHALL SYNC").await;
                let _: () = cluster.query(master, "SCRIPT FLUSH").await;
            }
        };
        if tokio::time::timeout(Duration::from_millis(DISCONNECT_MS), empty).await.is_ok() {
            FREE.lock().push((Instant::now(), cluster));
            tokio::time::sleep(MAX_IDLE).await;
            let idle: Vec<_> = FREE.lock().extract_if(.., |(since, _)| since.elapsed() >= MAX_IDLE).collect();
            drop(idle);
        }
    });
}

impl TestCluster {
    /// True if a member has no other client than this one.
    async fn is_unused(&self, member: usize) -> bool {
        let mut redis_client = self.member(member).await;
        let normal: String = redis_client.query("CLIENT LIST TYPE normal").await;
        let subscribed: String = redis_client.query("CLIENT LIST TYPE pubsub").await;
        normal.lines().count() == 1 && subscribed.is_empty()
    }
}
