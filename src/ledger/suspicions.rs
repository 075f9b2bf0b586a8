//! The tables `suspicions` and `suspect_addresses`: what the node noted since the last write, added to the hour's rows.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::{sql_fault, timed};
use crate::app::App;
use crate::error::Fault;
use crate::suspicion::Observation;

const EVERY: Duration = Duration::from_secs(1);

/// Writes once a second.
pub async fn note_suspicions_forever(app: Arc<App>) {
    loop {
        tokio::time::sleep(EVERY).await;
        let observations = app.suspicions.take();
        if observations.is_empty() {
            continue;
        }
        if let Err(fault) = write(&app, &observations).await {
            tracing::debug!(%fault, "suspicions wait for Postgres");
            app.suspicions.note(observations);
        }
    }
}

/// Adds to what is known of users and of addresses, and to what came of a user from an address.
async fn write(app: &App, observations: &HashMap<Observation, u64>) -> Result<(), Fault> {
    let doing = "write suspicions";
    let written = sqlx::query(
        "WITH seen AS (SELECT user_id, address, sign, date_trunc('hour', now(), 'UTC') AS hour, count
                       FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[]) AS it (user_id, address, sign, count)),
              together AS (INSERT INTO suspect_addresses AS known (address, user_id, sign, hour, count)
                           SELECT address, user_id, sign, hour, count FROM seen WHERE user_id IS NOT NULL
                           ORDER BY address, user_id, sign
                           ON CONFLICT (address, user_id, sign, hour)
                           DO UPDATE SET count = known.count + excluded.count, last_at = now())
         INSERT INTO suspicions AS known (suspect, is_user, sign, hour, count)
         SELECT suspect, is_user, sign, hour, sum(count)
         FROM (SELECT user_id::text AS suspect, TRUE AS is_user, sign, hour, count FROM seen WHERE user_id IS NOT NULL
               UNION ALL SELECT address, FALSE, sign, hour, count FROM seen) it
         GROUP BY suspect, is_user, sign, hour ORDER BY suspect, sign
         ON CONFLICT (suspect, sign, hour) DO UPDATE SET count = known.count + excluded.count, last_at = now()",
    )
    .bind(observations.keys().map(|it| it.user).collect::<Vec<Option<Uuid>>>())
    .bind(observations.keys().map(|it| it.address.to_string()).collect::<Vec<String>>())
    .bind(observations.keys().map(|it| it.sign.as_str()).collect::<Vec<&str>>())
    .bind(observations.values().map(|count| *count as i64).collect::<Vec<i64>>());
    let written = timed(&app.metrics, doing, written.execute(&app.database)).await;
    written.map(drop).map_err(|error| sql_fault(doing, error))
}
