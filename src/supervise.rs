//! Background tasks. Each runs until the node stops; one that ends or panics takes the process down, since a node without it would look
//! healthy and be wrong. Their loops repeat a step at intervals (`every`) or reconnect after a jittered backoff (`Backoff`).

use std::collections::HashMap;
use std::time::Duration;

use tokio::task::{Id, JoinSet};

use crate::error::Fault;

/// The background tasks of a node.
#[derive(Default)]
pub struct Tasks {
    set: JoinSet<()>,
    names: HashMap<Id, &'static str>,
}

impl Tasks {
    /// Starts a task. Its name is what the log says if it ends.
    pub fn spawn(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let id = self.set.spawn(task).id();
        self.names.insert(id, name);
    }

    /// Waits until a task ends, which none should, and returns what happened: "task sweep panicked".
    pub async fn died(&mut self) -> String {
        match self.set.join_next_with_id().await {
            Some(Ok((id, ()))) => format!("task {} ended", self.name(id)),
            Some(Err(error)) => format!("task {} panicked: {error}", self.name(error.id())),
            None => std::future::pending().await,
        }
    }

    /// Cancels all tasks and waits for their end.
    pub async fn shutdown(&mut self) {
        self.set.shutdown().await;
    }

    fn name(&self, id: Id) -> &'static str {
        self.names.get(&id).copied().unwrap_or_default()
    }
}

/// Runs a step at once and then `period` after each run has ended. A fault is logged at WARN as `<name> failed, retrying`.
pub async fn every<F>(period: Duration, name: &'static str, step: impl Fn() -> F)
where
    F: Future<Output = Result<(), Fault>>,
{
    loop {
        if let Err(fault) = step().await {
            tracing::warn!(%fault, "{name} failed, retrying");
        }
        tokio::time::sleep(period).await;
    }
}

/// Pauses between attempts to reconnect: full jitter below a limit that doubles from 50 ms to 2 s (AWS, "Exponential backoff and
/// jitter"). All nodes lose a store at the same time and must not return at the same time.
pub struct Backoff {
    limit_ms: u64,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { limit_ms: Self::FIRST_MS }
    }
}

impl Backoff {
    const FIRST_MS: u64 = 50;
    const LAST_MS: u64 = 2000;

    /// Sleeps, and doubles the limit of the next pause.
    pub async fn wait(&mut self) {
        let pause_ms = rand::random_range(0..=self.limit_ms);
        tokio::time::sleep(Duration::from_millis(pause_ms)).await;
        self.limit_ms = (self.limit_ms * 2).min(Self::LAST_MS);
    }

    /// Starts again with the shortest pause: the attempt succeeded.
    pub fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_ends_or_panics_is_named() {
        let mut tasks = Tasks::default();
        tasks.spawn("waits", std::future::pending());
        tasks.spawn("ends", async {});
        assert_eq!(tasks.died().await, "task ends ended");
        tasks.spawn("panics", async { panic!("as the test wants") });
        assert!(tasks.died().await.starts_with("task panics panicked: "));
        tasks.shutdown().await;
    }

    #[tokio::test]
    async fn the_limit_of_a_pause_doubles_until_a_success() {
        let mut backoff = Backoff::default();
        backoff.wait().await;
        backoff.wait().await;
        assert_eq!(backoff.limit_ms, 4 * Backoff::FIRST_MS);
        backoff.reset();
        assert_eq!(backoff.limit_ms, Backoff::FIRST_MS);
        backoff.limit_ms = Backoff::LAST_MS;
        backoff.wait().await;
        assert_eq!(backoff.limit_ms, Backoff::LAST_MS);
    }
}
