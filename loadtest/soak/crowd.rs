//! Listeners that come, stay for some seconds, and go.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::StreamExt;
use rand::RngExt;
use tokio_tungstenite::connect_async;
use tokio_util::sync::CancellationToken;

/// What they met with so far.
#[derive(Default)]
pub struct Crowd {
    pub here: AtomicU64,
    pub came: AtomicU64,
    pub refused: AtomicU64,
    pub told: AtomicU64,
}

/// Lets them come until it is over.
pub fn gather(address: &str, logins: &[String], ended: &CancellationToken) -> Arc<Crowd> {
    let crowd = Arc::new(Crowd::default());
    for login in logins {
        let url = format!("ws://{address}/api/v1/ws?access_token={login}");
        let (crowd, ended) = (crowd.clone(), ended.clone());
        tokio::spawn(async move { ended.run_until_cancelled(come_and_go(&url, &crowd)).await });
    }
    crowd
}

async fn come_and_go(url: &str, crowd: &Crowd) {
    loop {
        let (away_ms, stay_ms) = {
            let mut lot = rand::rng();
            (lot.random_range(0..10_000), lot.random_range(1_000..60_000))
        };
        tokio::time::sleep(Duration::from_millis(away_ms)).await;
        let Ok((mut socket, _)) = connect_async(url).await else {
            crowd.refused.fetch_add(1, Ordering::Relaxed);
            continue;
        };
        crowd.came.fetch_add(1, Ordering::Relaxed);
        crowd.here.fetch_add(1, Ordering::Relaxed);
        let listening = async {
            while let Some(Ok(_)) = socket.next().await {
                crowd.told.fetch_add(1, Ordering::Relaxed);
            }
        };
        // Half of them say that they go; the others are gone.
        if tokio::time::timeout(Duration::from_millis(stay_ms), listening).await.is_err() && stay_ms % 2 == 0
        {
            let _ = socket.close(None).await;
        }
        crowd.here.fetch_sub(1, Ordering::Relaxed);
    }
}
