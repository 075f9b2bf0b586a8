use std::sync::Arc;

use laurel::app::App;
use laurel::ledger::{Detached, Month, detach};
use laurel::store::Entry;
use sqlx::Executor;
use uuid::Uuid;

use crate::harness::{World, assert_verified, ledger_differences};

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

/// A ledger that is five months old, still empty.
async fn aged(world: &World) -> Arc<App> {
    let app = world.app().await;
    let first = month(&app, -1).await.in_name();
    let mut statements = format!("DROP TABLE score_history_before_{first};");
    let bound = month(&app, 4).await;
    statements += &format!(
        "CREATE TABLE score_history_before_{} PARTITION OF score_history FOR VALUES FROM (MINVALUE) TO ('{}');",
        bound.in_name(),
        bound.begins()
    );
    for ago in (0..=4).rev() {
        let month = month(&app, ago).await;
        statements += &format!(
            "CREATE TABLE score_history_{} PARTITION OF score_history FOR VALUES FROM ('{}') TO ('{}');",
            month.in_name(),
            month.begins(),
            month.next().begins()
        );
    }
    sqlx::raw_sql(sqlx::AssertSqlSafe(statements)).execute(&app.database).await.unwrap();
    laurel::ledger::wait_open(&app, |_| ()).await.unwrap();
    app
}

/// Writes what is in the outbox as if it had happened in the middle of the month that was so many months ago; 0: now.
/// Not so many days ago: which month that is depends on the day of the test.
async fn write_aged(app: &App, months: i32) -> Vec<Entry> {
    let before_ms = match months {
        0 => 0,
        _ => app.store.now_us().await.unwrap() / 1000 - middle_ms(month(app, months).await),
    };
    write_before(app, before_ms).await
}

fn middle_ms(month: Month) -> i64 {
    month.begins_ms() + 14 * DAY_MS
}

/// Writes what is in the outbox as if it had happened so much earlier.
async fn write_before(app: &App, before_ms: i64) -> Vec<Entry> {
    let (mut entries, _) = app.store.outbox_reader().await.unwrap().read(1000, 0).await.unwrap();
    for entry in &mut entries {
        entry.at_ms -= before_ms;
    }
    let mut database = app.database.acquire().await.unwrap();
    laurel::ledger::write(&mut database, &app.receipts, app.store.shard_count(), &entries).await.unwrap();
    app.store.settle(&entries).await.unwrap();
    entries
}

async fn award(app: &App, users: &[Uuid], points: u64) {
    for user in users {
        crate::scripts::award(&app.store, *user, points).await;
    }
}

async fn top(app: &App) -> Vec<String> {
    app.store.poll(0, i64::MAX).await.unwrap().top
}

#[tokio::test]
async fn the_next_months_have_their_parts_and_take_what_the_rest_has_of_them() {
    let world = World::new().await;
    let app = aged(&world).await;
    let names = tables(&app).await;
    for ahead in [0, -1, -2] {
        let name = format!("score_history_{}", month(&app, ahead).await.in_name());
        assert!(names.contains(&name), "{names:?} has no {name}");
    }
    // Before the month was made, a clock ran ahead.
    let next = month(&app, -1).await;
    let drop = format!("DROP TABLE score_history_{}", next.in_name());
    app.database.execute(sqlx::AssertSqlSafe(drop)).await.unwrap();
    let user = super::verify::insert_user(&app).await;
    award(&app, &[user], 10).await;
    let now_ms = app.store.now_us().await.unwrap() / 1000;
    write_before(&app, now_ms - middle_ms(next)).await;
    let place = "SELECT string_agg(tableoid::regclass::text, ' ') FROM score_history";
    assert_eq!(text(&app, place).await, "score_history_rest");
    assert!(laurel::ledger::contract(&app.database, &app.receipts).await.unwrap());
    assert_eq!(text(&app, place).await, format!("score_history_{}", next.in_name()));
    assert_verified(&world).await;
}

#[tokio::test]
async fn month_after_month_can_be_detached_also_the_one_in_which_others_were_carried_over() {
    let world = World::new().await;
    let app = aged(&world).await;
    let user = super::verify::insert_user(&app).await;
    for months in [5, 4, 3] {
        award(&app, &[user], 10).await;
        write_aged(&app, months).await;
    }
    // What was carried over first lies in a month that goes later than the one that is carried over next.
    detach(&app, month(&app, 4).await).await.unwrap();
    let moved = "UPDATE score_history SET created_at = to_timestamp($1 / 1000) WHERE action_type = 'carried'";
    let to_ms = middle_ms(month(&app, 3).await);
    sqlx::query(moved).bind(to_ms).execute(&app.database).await.unwrap();
    for months in [2, 0] {
        award(&app, &[user], 10).await;
        write_aged(&app, months).await;
    }
    detach(&app, month(&app, 3).await).await.unwrap();
    detach(&app, month(&app, 2).await).await.unwrap();
    let totals =
        "SELECT string_agg(score_before || '>' || score_after, ' ' ORDER BY hlc_us) FROM score_history";
    assert_eq!(text(&app, totals).await, "0>10 10>20 20>30 30>40 40>50");
    let counted = "SELECT sum(awards) || ' ' || sum(points) FROM rollup_hours";
    assert_eq!(text(&app, counted).await, "5 50", "the sums outlive what they are sums of");
    assert_verified(&world).await;
}

#[tokio::test]
async fn what_was_detached_is_carried_over_and_nothing_else_changes() {
    let world = World::new().await;
    let app = aged(&world).await;
    let mut users = Vec::new();
    for _ in 0..12 {
        users.push(super::verify::insert_user(&app).await);
    }
    // All tie in the end, but for one: some by old awards alone, some by new ones alone, some by both.
    award(&app, &users[..8], 10).await;
    let old = write_aged(&app, 4).await.len();
    award(&app, &users[2..6], 10).await;
    write_aged(&app, 3).await;
    award(&app, &users[5..8], 10).await;
    award(&app, &users[8..], 20).await;
    write_aged(&app, 0).await;
    assert_verified(&world).await;
    let before = top(&app).await;

    let detached = detach(&app, month(&app, 3).await).await.unwrap();
    assert_eq!((detached.entries, detached.carried), (8, 8), "of {old} entries in the outbox");
    assert!(detached.tables.iter().all(|it| it.starts_with("score_history_detached_")), "{detached:?}");
    assert_eq!(detach(&app, month(&app, 3).await).await.unwrap(), Detached::default(), "once is enough");
    assert_verified(&world).await;
    laurel::ledger::rebuild(&app, |_| ()).await.unwrap();
    assert_eq!(top(&app).await, before, "ties stay as they were");

    // The next months go too: what they came to follows what was carried over before.
    let detached = detach(&app, month(&app, 2).await).await.unwrap();
    assert_eq!((detached.entries, detached.carried), (4, 4));
    award(&app, &users[..2], 10).await;
    write_aged(&app, 0).await;
    assert_verified(&world).await;
    let before = top(&app).await;
    laurel::ledger::rebuild(&app, |_| ()).await.unwrap();
    assert_eq!(top(&app).await, before);

    // What stands for the detached entries is as safe as they were.
    app.database
        .execute("DELETE FROM score_history WHERE seq = (SELECT min(seq) FROM score_history)")
        .await
        .unwrap();
    assert!(!ledger_differences(&app).await.is_empty());
}

#[tokio::test]
async fn what_is_young_or_held_is_not_detached() {
    let world = World::new().await;
    let app = aged(&world).await;
    let user = super::verify::insert_user(&app).await;
    award(&app, &[user], 10).await;
    write_aged(&app, 3).await;
    let refused = async |ago: i32| detach(&app, month(&app, ago).await).await.unwrap_err().to_string();
    assert!(refused(0).await.contains("less than 32 days"));
    app.database.execute("UPDATE score_history SET held = TRUE").await.unwrap();
    assert!(refused(2).await.contains("held"));
    app.database.execute("UPDATE score_history SET held = FALSE").await.unwrap();
    // A clock that went back: an entry of an old month comes after one of this month.
    award(&app, &[user], 10).await;
    write_aged(&app, 0).await;
    award(&app, &[user], 10).await;
    write_aged(&app, 3).await;
    assert!(refused(2).await.contains("choose another month"));
    assert_verified(&world).await;
}
