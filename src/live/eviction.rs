//! Whether Redis still keeps what it has. Its `maxmemory-policy` is checked when a node starts, and can be changed while it runs: then
//! scores, bans and tokens may be dropped without a word.

use std::sync::Arc;
use std::time::Duration;

use crate::app::App;

/// How often it is looked at.
pub const EVICTION_EVERY: Duration = Duration::from_secs(60);

/// Looks at once and then every so often. What is found is said in the log, in `/readyz` and in a metric; awards go on, since a board that
/// stands still would not bring back what was dropped, and what has to be done is one command.
pub async fn watch_eviction_forever(app: Arc<App>, every: Duration) {
    loop {
        match app.store.evicts().await {
            Ok(found) => {
                let evicted = app.health.evicts(found.is_some());
                app.metrics.redis_evicts.set(found.is_some().into());
                match found {
                    Some((server, policy)) => tracing::error!(
                        %server,
                        policy,
                        "Redis may drop scores and bans: set maxmemory-policy to noeviction, then run laurel verify"
                    ),
                    None if evicted => tracing::warn!("Redis drops no keys any more: run laurel verify"),
                    None => {}
                }
            }
            // That it is away is said elsewhere.
            Err(fault) => tracing::debug!(%fault, "maxmemory-policy is not known"),
        }
        tokio::time::sleep(every).await;
    }
}
