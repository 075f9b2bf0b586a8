//! Monthly partitions of the ledger: created in advance, and detached without a change of totals.

use std::sync::Arc;

use laurel::app::App;
use laurel::ledger::{DetachReport, Month, detach};
use laurel::store::{BoardEntry, Entry};
use sqlx::Executor;
use uuid::Uuid;

use super::{insert_user, write};
use crate::harness::{TestStores, assert_ledger_matches, ledger_mismatches};
use crate::scripts::admin::{adjustment, restriction};

const DAY_MS: i64 = 86_400_000;

async fn text(app: &App, sql: &'static str) -> String {
    sqlx::query_scalar(sql).fetch_one(&app.database).await.unwrap()
}

async fn month(app: &App, ago: i32) -> Month {
    let sql = "SELECT to_char(now() AT TIME ZONE 'UTC' - make_interval(months => $1), 'YYYY-MM')";
    let month: String = sqlx::query_scalar(sql).bind(ago).fetch_one(&app.database).await.unwrap();
    month.parse().unwrap()
}

async fn tables(app: &App) -> Vec<String> {
    let sql =
        "SELECT relname::text FROM pg_class WHERE relname ~ '^score_history' AND relkind = 'r' ORDER BY 1";
    sqlx::query_scalar(sql).fetch_all(&app.database).await.unwrap()
}

/// Prepares an empty ledger as if it were installed five months ago.
async fn build_aged_app(stores: &TestStores) -> Arc<App> {
    let app = stores.build_app().await;
    let first = month(&app, -1).await.table_suffix();
    let mut statements = format!("DROP TABLE score_history_before_{first};");
    let bound = month(&app, 4).await;
    statements += &format!(
        "CREATE TABLE score_history_before_{} PARTITION OF score_history FOR VALUES FROM (MINVALUE) TO ('{}');",
        bound.table_suffix(),
        bound.start()
    );
    for ago in (0..=4).rev() {
        let month = month(&app, ago).await;
        statements += &format!(
            "CREATE TABLE score_history_{} PARTITION OF score_history FOR VALUES FROM ('{}') TO ('{}');",
            month.table_suffix(),
            month.start(),
            month.next().start()
        );
    }
    sqlx::raw_sql(sqlx::AssertSqlSafe(statements)).execute(&app.database).await.unwrap();
    laurel::ledger::await_board(&app.ledger, |_| ()).await.unwrap();
    app
}

/// Writes the outbox as if its entries were from the middle of the month `months` ago; 0: from now. The month of a number of days ago would
/// depend on the date of the test.
async fn write_from_month(app: &App, months: i32) -> Vec<Entry> {
    let age_ms = match months {
        0 => 0,
        _ => app.store.now_us().await.unwrap() / 1000 - middle_ms(month(app, months).await),
    };
    write_older(app, age_ms).await
}

fn middle_ms(month: Month) -> i64 {
    month.start_ms() + 14 * DAY_MS
}

/// Writes the outbox as if its entries were older by `age_ms`.
async fn write_older(app: &App, age_ms: i64) -> Vec<Entry> {
    let (mut entries, _) = app.store.outbox_reader().await.unwrap().read(1000, 0).await.unwrap();
    for entry in &mut entries {
        entry.at_ms -= age_ms;
    }
    let mut database = app.database.acquire().await.unwrap();
    write(app, &mut database, &entries).await;
    app.store.ack(&entries).await.unwrap();
    entries
}

async fn award(app: &App, users: &[Uuid], points: u64) {
    for user in users {
        crate::scripts::award(&app.store, *user, points).await;
    }
}

async fn top(app: &App) -> Vec<BoardEntry> {
    app.store.poll(0, i64::MAX).await.unwrap().top
}

#[tokio::test]
async fn months_are_created_in_advance() {
    let stores = TestStores::new().await;
    let app = build_aged_app(&stores).await;
    let names = tables(&app).await;
    for ahead in [0, -1, -2] {
        let name = format!("score_history_{}", month(&app, ahead).await.table_suffix());
        assert!(names.contains(&name), "{names:?} has no {name}");
    }
    // A clock runs ahead before the month is created: the row is in the default partition until then.
    let next = month(&app, -1).await;
    let drop = format!("DROP TABLE score_history_{}", next.table_suffix());
    app.database.execute(sqlx::AssertSqlSafe(drop)).await.unwrap();
    let user = insert_user(&app).await;
    award(&app, &[user], 10).await;
    let now_ms = app.store.now_us().await.unwrap() / 1000;
    write_older(&app, now_ms - middle_ms(next)).await;
    let tables = "SELECT string_agg(tableoid::regclass::text, ' ') FROM score_history";
    assert_eq!(text(&app, tables).await, "score_history_rest");
    assert!(laurel::ledger::contract(&app.database).await.unwrap());
    assert_eq!(text(&app, tables).await, format!("score_history_{}", next.table_suffix()));
    assert_ledger_matches(&stores).await;
}

#[tokio::test]
async fn months_with_carried_entries_can_be_detached() {
    let stores = TestStores::new().await;
    let app = build_aged_app(&stores).await;
    let user = insert_user(&app).await;
    award(&app, &[user], 10).await;
    write_from_month(&app, 5).await;
    award(&app, &[user], 10).await;
    app.store.apply_restrictions(&restriction(user, (false, true), &[])).await.unwrap().unwrap();
    award(&app, &[user], 10).await;
    write_from_month(&app, 4).await;
    app.store.adjust(&adjustment(user, None, &[])).await.unwrap().unwrap();
    award(&app, &[user], 10).await;
    write_from_month(&app, 3).await;
    // The first carried entry is in a month that is detached later than the one of the next carried entry.
    detach(&app.ledger, month(&app, 4).await).await.unwrap();
    let change =
        "UPDATE score_history SET created_at = to_timestamp($1 / 1000) WHERE action_type = 'carried'";
    let to_ms = middle_ms(month(&app, 3).await);
    sqlx::query(change).bind(to_ms).execute(&app.database).await.unwrap();
    for months in [2, 0] {
        award(&app, &[user], 10).await;
        write_from_month(&app, months).await;
    }
    detach(&app.ledger, month(&app, 3).await).await.unwrap();
    // The void is still in the ledger, the entry that it marks is not.
    let found = ledger_mismatches(&app).await;
    assert!(found.iter().all(|found| !found.subject.contains("void")), "{found:?}");
    detach(&app.ledger, month(&app, 2).await).await.unwrap();
    let totals =
        "SELECT string_agg(score_before || '>' || score_after, ' ' ORDER BY hlc_us) FROM score_history";
    assert_eq!(text(&app, totals).await, "0>10 10>30 30>30 30>40 40>50");
    let counted = "SELECT sum(awards) || ' ' || sum(points) FROM rollup_hours";
    assert_eq!(text(&app, counted).await, "6 60", "rollups keep detached entries");
    assert_ledger_matches(&stores).await;
}

#[tokio::test]
async fn detaching_changes_no_totals_or_ranks() {
    let stores = TestStores::new().await;
    let app = build_aged_app(&stores).await;
    let mut users = Vec::new();
    for _ in 0..12 {
        users.push(insert_user(&app).await);
    }
    // In the end all but one are tied: by old awards only, by new awards only, or by both.
    award(&app, &users[..8], 10).await;
    let old = write_from_month(&app, 4).await.len();
    award(&app, &users[2..6], 10).await;
    // Awards of 0 points change no place among ties, and those of a user without others in the month are not carried.
    award(&app, &[users[2], users[0]], 0).await;
    write_from_month(&app, 3).await;
    award(&app, &users[5..8], 10).await;
    award(&app, &users[8..], 20).await;
    write_from_month(&app, 0).await;
    assert_ledger_matches(&stores).await;
    let before = top(&app).await;

    let detached = detach(&app.ledger, month(&app, 3).await).await.unwrap();
    assert_eq!((detached.entries, detached.carried), (8, 8), "of {old} entries in the outbox");
    assert!(detached.tables.iter().all(|it| it.starts_with("score_history_detached_")), "{detached:?}");
    assert_eq!(
        detach(&app.ledger, month(&app, 3).await).await.unwrap(),
        DetachReport::default(),
        "detaching twice changes nothing"
    );
    assert_ledger_matches(&stores).await;
    laurel::ledger::rebuild(&app.ledger, |_| ()).await.unwrap();
    assert_eq!(top(&app).await, before, "ties keep their order");

    // The carried entries of the next months follow the earlier ones.
    let detached = detach(&app.ledger, month(&app, 2).await).await.unwrap();
    assert_eq!((detached.entries, detached.carried), (6, 4));
    award(&app, &users[..2], 10).await;
    write_from_month(&app, 0).await;
    assert_ledger_matches(&stores).await;
    let before = top(&app).await;
    laurel::ledger::rebuild(&app.ledger, |_| ()).await.unwrap();
    assert_eq!(top(&app).await, before);

    // Carried entries are chained like the entries that they replace.
    app.database
        .execute("DELETE FROM score_history WHERE seq = (SELECT min(seq) FROM score_history)")
        .await
        .unwrap();
    assert!(!ledger_mismatches(&app).await.is_empty());
}

#[tokio::test]
async fn recent_or_held_entries_are_not_detached() {
    let stores = TestStores::new().await;
    let app = build_aged_app(&stores).await;
    let user = insert_user(&app).await;
    award(&app, &[user], 10).await;
    write_from_month(&app, 3).await;
    let error = async |ago: i32| detach(&app.ledger, month(&app, ago).await).await.unwrap_err().to_string();
    assert!(error(0).await.contains("less than 32 days"));
    app.database.execute("UPDATE score_history SET held = TRUE").await.unwrap();
    assert!(error(2).await.contains("held"));
    app.database.execute("UPDATE score_history SET held = FALSE").await.unwrap();
    let period = "INSERT INTO board_periods (board, period, starts_us, ends_us, closes_us, rules, counts_from_us)
                  SELECT 'quarterly', 'all', 0, never, never, '{\"is_total\": false}', 0 FROM (VALUES (9223372036854775807)) AS it (never)";
    app.database.execute(period).await.unwrap();
    assert!(error(2).await.contains("quarterly"), "a period that is not closed needs the month");
    app.database.execute("DELETE FROM board_periods").await.unwrap();
    // A clock was set back: an entry of an old month follows an entry of this month.
    award(&app, &[user], 10).await;
    write_from_month(&app, 0).await;
    award(&app, &[user], 10).await;
    write_from_month(&app, 3).await;
    assert!(error(2).await.contains("choose another month"));
    assert_ledger_matches(&stores).await;
}
