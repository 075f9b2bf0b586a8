//! Counts that a node keeps in memory and adds to the current hour's rows in Postgres: refusals and abuse signals. Counts since the last
//! flush are lost if the node is killed.

use std::collections::HashMap;
use std::time::Duration;

use uuid::Uuid;

use crate::abuse::{AbuseSignals, Observation};
use crate::db::{ANSWER_TIMEOUT, Database, sql_fault, timed, with_timeout};
use crate::error::{Code, Fault};
use crate::metrics::Metrics;
use crate::refusals::Refusals;

const REFUSALS_INTERVAL: Duration = Duration::from_secs(5);
const ABUSE_SIGNALS_INTERVAL: Duration = Duration::from_secs(1);

/// Flushes refusals every 5 seconds.
pub async fn flush_refusals_forever(refusals: &Refusals, database: &Database, metrics: &Metrics) {
    loop {
        tokio::time::sleep(REFUSALS_INTERVAL).await;
        flush_refusals(refusals, database, metrics).await;
    }
}

/// Writes the refusals since the last flush. If Postgres is unavailable they are kept for the next one.
pub async fn flush_refusals(refusals: &Refusals, database: &Database, metrics: &Metrics) {
    let counts = refusals.take();
    if counts.is_empty() {
        return;
    }
    if let Err(fault) = write_refusals(database, metrics, &counts).await {
        tracing::debug!(%fault, "flushing refusals failed, retrying");
        refusals.put_back(&counts);
    }
}

async fn write_refusals(database: &Database, metrics: &Metrics, counts: &[(Code, u64)]) -> Result<(), Fault> {
    let query_name = "write_refusals";
    let insert = sqlx::query(
        "INSERT INTO rollup_refusals AS known (hour, code, count)
         SELECT date_trunc('hour', now(), 'UTC'), code, count FROM unnest($1::text[], $2::bigint[]) AS it (code, count)
         ORDER BY code
         ON CONFLICT (hour, code) DO UPDATE SET count = known.count + excluded.count",
    )
    .bind(counts.iter().map(|it| it.0.as_str()).collect::<Vec<&str>>())
    .bind(counts.iter().map(|it| it.1 as i64).collect::<Vec<i64>>())
    .execute(database);
    with_timeout(query_name, ANSWER_TIMEOUT, timed(metrics, query_name, insert)).await.map(drop)
}

/// Flushes abuse signals once a second.
pub async fn flush_abuse_signals_forever(signals: &AbuseSignals, database: &Database, metrics: &Metrics) {
    loop {
        tokio::time::sleep(ABUSE_SIGNALS_INTERVAL).await;
        let observations = signals.take();
        if observations.is_empty() {
            continue;
        }
        if let Err(fault) = write_abuse_signals(database, metrics, &observations).await {
            tracing::debug!(%fault, "flushing abuse signals failed, retrying");
            signals.add(observations);
        }
    }
}

/// Adds to the counts per user, per address, and per pair of both.
async fn write_abuse_signals(
    database: &Database,
    metrics: &Metrics,
    observations: &HashMap<Observation, u64>,
) -> Result<(), Fault> {
    let query_name = "write_abuse_signals";
    let insert = sqlx::query(
        "WITH seen AS (SELECT user_id, address, signal, date_trunc('hour', now(), 'UTC') AS hour, count
                       FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[]) AS it (user_id, address, signal, count)),
              pairs AS (INSERT INTO suspect_addresses AS known (address, user_id, signal, hour, count)
                        SELECT address, user_id, signal, hour, count FROM seen WHERE user_id IS NOT NULL
                        ORDER BY address, user_id, signal
                        ON CONFLICT (address, user_id, signal, hour)
                        DO UPDATE SET count = known.count + excluded.count, last_at = now())
         INSERT INTO abuse_signals AS known (suspect, is_user, signal, hour, count)
         SELECT suspect, is_user, signal, hour, sum(count)
         FROM (SELECT user_id::text AS suspect, TRUE AS is_user, signal, hour, count FROM seen WHERE user_id IS NOT NULL
               UNION ALL SELECT address, FALSE, signal, hour, count FROM seen) it
         GROUP BY suspect, is_user, signal, hour ORDER BY suspect, signal
         ON CONFLICT (suspect, signal, hour) DO UPDATE SET count = known.count + excluded.count, last_at = now()",
    )
    .bind(observations.keys().map(|it| it.user).collect::<Vec<Option<Uuid>>>())
    .bind(observations.keys().map(|observation| observation.address.to_string()).collect::<Vec<String>>())
    .bind(observations.keys().map(|observation| observation.signal.as_str()).collect::<Vec<&str>>())
    .bind(observations.values().map(|count| *count as i64).collect::<Vec<i64>>());
    let result = timed(metrics, query_name, insert.execute(database)).await;
    result.map(drop).map_err(|error| sql_fault(query_name, error))
}
