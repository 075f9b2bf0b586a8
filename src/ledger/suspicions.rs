//! The table `suspicions`: what the node noted since the last write, added to the hour's rows.

use std::sync::Arc;
use std::time::Duration;

use super::{sql_fault, timed};
use crate::app::App;
use crate::error::Fault;
use crate::suspicion::{Sign, Suspect};

const EVERY: Duration = Duration::from_secs(1);

/// Writes once a second.
pub async fn note_suspicions_forever(app: Arc<App>) {
    loop {
        tokio::time::sleep(EVERY).await;
        let signs = app.suspicions.take();
        if signs.is_empty() {
            continue;
        }
        let rows: Vec<_> = signs.iter().map(|((suspect, sign), count)| (*suspect, *sign, *count)).collect();
        if let Err(fault) = write(&app, &rows).await {
            tracing::debug!(%fault, "suspicions wait for Postgres");
            app.suspicions.give_back(signs);
        }
    }
}

async fn write(app: &App, rows: &[(Suspect, Sign, u64)]) -> Result<(), Fault> {
    let name = |suspect: &Suspect| match suspect {
        Suspect::User(user) => user.to_string(),
        Suspect::Address(address) => address.to_string(),
    };
    let doing = "write suspicions";
    let written = sqlx::query(
        "INSERT INTO suspicions AS known (suspect, is_user, sign, hour, count)
         SELECT suspect, is_user, sign, date_trunc('hour', now(), 'UTC'), count
         FROM unnest($1::text[], $2::boolean[], $3::text[], $4::bigint[]) AS it (suspect, is_user, sign, count)
         ORDER BY suspect, sign
         ON CONFLICT (suspect, sign, hour) DO UPDATE SET count = known.count + excluded.count, last_at = now()",
    )
    .bind(rows.iter().map(|(it, ..)| name(it)).collect::<Vec<String>>())
    .bind(rows.iter().map(|(it, ..)| matches!(it, Suspect::User(_))).collect::<Vec<bool>>())
    .bind(rows.iter().map(|(_, sign, _)| sign.as_str()).collect::<Vec<&str>>())
    .bind(rows.iter().map(|(.., count)| *count as i64).collect::<Vec<i64>>());
    let written = timed(&app.metrics, doing, written.execute(&app.database)).await;
    written.map(drop).map_err(|error| sql_fault(doing, error))
}
