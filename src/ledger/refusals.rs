//! The table `rollup_refusals`: what the node refused since the last write, added to the hour's rows.

use std::sync::Arc;
use std::time::Duration;

use super::database::{HANGS_AFTER, in_time, timed};
use crate::app::App;
use crate::error::{Code, Fault};

const EVERY: Duration = Duration::from_secs(5);

/// Writes every few seconds.
pub async fn note_refusals_forever(app: Arc<App>) {
    loop {
        tokio::time::sleep(EVERY).await;
        note_refusals(&app).await;
    }
}

/// Writes what was counted since the last time.
pub async fn note_refusals(app: &App) {
    let counts = app.refusals.take();
    if counts.is_empty() {
        return;
    }
    if let Err(fault) = write(app, &counts).await {
        tracing::debug!(%fault, "refusals wait for Postgres");
        app.refusals.give_back(&counts);
    }
}

async fn write(app: &App, counts: &[(Code, u64)]) -> Result<(), Fault> {
    let doing = "write refusals";
    let written = sqlx::query(
        "INSERT INTO rollup_refusals AS known (hour, code, count)
         SELECT date_trunc('hour', now(), 'UTC'), code, count FROM unnest($1::text[], $2::bigint[]) AS it (code, count)
         ORDER BY code
         ON CONFLICT (hour, code) DO UPDATE SET count = known.count + excluded.count",
    )
    .bind(counts.iter().map(|it| it.0.as_str()).collect::<Vec<&str>>())
    .bind(counts.iter().map(|it| it.1 as i64).collect::<Vec<i64>>())
    .execute(&app.database);
    in_time(doing, HANGS_AFTER, timed(&app.metrics, doing, written)).await.map(drop)
}
