use std::collections::BTreeMap;

use laurel::action::Flow;
use laurel::app::App;
use laurel::store::NextToken;
use laurel::token::{ActToken, new_session_id};
use sqlx::Connection;
use uuid::Uuid;

use crate::harness::{World, assert_verified, eventually};
use crate::scripts::redeem;

#[tokio::test]
async fn a_sessions_rows_are_the_same_in_whatever_order_its_entries_come() {
    let world = World::new().await;
    let app = world.app().await;
    laurel::ledger::wait_open(&app, |_| ()).await.unwrap();
    let user = super::verify::insert_user(&app).await;
    let username = format!("u{}", crate::scripts::number(user));
    let (session, tokens) = (new_session_id(), [ActToken::new(), ActToken::new(), ActToken::new()]);
    let start = laurel::store::Start {
        user,
        session_id: &session,
        token: tokens[0].as_str(),
        token_hash: &tokens[0].hash(),
        ttl_ms: 60_000,
        per_hour: 0,
        outbox_max: 1000,
        event_ids: (Uuid::new_v4(), Uuid::new_v4()),
    };
    app.store.start(&start).await.unwrap();
    for pair in tokens.windows(2) {
        let (hash, next) =
            (pair[0].hash(), NextToken { token: pair[1].as_str().to_owned(), hash: pair[1].hash() });
        let it = laurel::store::Redeem {
            attempt_id: pair[0].attempt_id(),
            token_hash: &hash,
            flow: Flow::Game,
            next: Some(&next),
            username: &username,
            ..redeem(user, &hash)
        };
        app.store.redeem(&it).await.unwrap();
    }
    app.store.finish(user, 1000, Uuid::new_v4()).await.unwrap().unwrap();
    let mut reader = app.store.outbox_reader().await.unwrap();
    let (mut entries, _) = reader.read(100, 0).await.unwrap();
    assert_eq!(entries.len(), 4);
    let mut writer = app.database.acquire().await.unwrap();
    for _ in 0..2 {
        entries.reverse();
        for entry in &entries {
            laurel::ledger::write(
                &mut writer,
                &app.receipts,
                app.store.shard_count(),
                std::slice::from_ref(entry),
            )
            .await
            .unwrap();
        }
        laurel::ledger::write(&mut writer, &app.receipts, app.store.shard_count(), &entries).await.unwrap();
    }
    let row: (String, bool, i64, bool) = sqlx::query_as(
        "SELECT session_id, is_active, actions_count, created_at <= ended_at AND ended_at < expires_at FROM game_sessions",
    )
    .fetch_one(&app.database)
    .await
    .unwrap();
    assert_eq!(row, (session.clone(), false, 2, true));
    let rows = shown(&app, &session).await;
    let wanted = [true, true, false].map(|is_used| (false, is_used));
    assert_eq!(rows, tokens.iter().map(ActToken::hash).zip(wanted).collect::<BTreeMap<_, _>>());
    let attempts: Vec<Option<String>> =
        sqlx::query_scalar("SELECT session_id FROM user_action").fetch_all(&app.database).await.unwrap();
    assert_eq!(attempts, [Some(session.clone()), Some(session)]);
    app.store.settle(&entries).await.unwrap();
    assert_verified(&world).await;
}

/// A session's tokens as Postgres shows them: whether each is active, and whether it was used.
async fn shown(app: &App, session: &str) -> BTreeMap<String, (bool, bool)> {
    let rows: Vec<(String, bool, bool, bool)> = sqlx::query_as(
        "SELECT action_token_hash, id = attempt_of(action_token_hash), is_active, used_at IS NOT NULL
         FROM action_tokens WHERE session_id = $1",
    )
    .bind(session)
    .fetch_all(&app.database)
    .await
    .unwrap();
    assert!(
        rows.iter().all(|(_, is_found, _, _)| *is_found),
        "a token is found by the attempt that it is for"
    );
    rows.into_iter().map(|(hash, _, is_active, is_used)| (hash, (is_active, is_used))).collect()
}

#[tokio::test]
async fn tokens_that_older_nodes_wrote_are_taken_over() {
    let world = World::without_tables().await;
    let older = super::migrate::node_of(&world, "laurel/11").await;
    let app = world.app().await;
    let user = super::verify::insert_user(&app).await;
    // One was redeemed since, which a node of this version wrote down.
    let tokens = [ActToken::new(), ActToken::new(), ActToken::new(), ActToken::new()];
    let [used, since, next, proven] = tokens.each_ref().map(ActToken::hash);
    let rows = format!(
        "INSERT INTO game_sessions (session_id, user_id, created_at, expires_at, actions_count)
         VALUES ('sess_1', '{user}', now(), now() + interval '1 hour', 1);
         INSERT INTO user_action (id, user_id, action_type, score_value, token_hash, session_id, created_at, expires_at, completed_at)
         VALUES (attempt_of('{used}'), '{user}', 'watch_ad', 10, '{used}', 'sess_1', now(), now() + interval '1 hour', now()),
                (attempt_of('{proven}'), '{user}', 'watch_ad', 10, NULL, 'sess_1', now(), now() + interval '1 hour', NULL),
                (attempt_of('{since}'), '{user}', 'watch_ad', 10, '{since}', 'sess_1', now(), now() + interval '1 hour', now());
         INSERT INTO action_tokens (action_token_hash, session_id, action_type, user_id, created_at, expires_at, is_active, used_at)
         VALUES ('{used}', 'sess_1', 'watch_ad', '{user}', now(), now() + interval '1 hour', FALSE, now()),
                ('{since}', 'sess_1', NULL, '{user}', now() + interval '1 s', now() + interval '1 hour', TRUE, NULL),
                ('{next}', 'sess_1', NULL, '{user}', now(), now() + interval '1 hour', TRUE, NULL),
                ('{proven}', 'sess_1', 'watch_ad', '{user}', now(), now() + interval '1 hour', TRUE, NULL)",
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(rows)).execute(&app.database).await.unwrap();
    older.close().await.unwrap();
    eventually("the older node to be gone", async || {
        laurel::ledger::contract(&app.database, &app.receipts).await.unwrap().then_some(())
    })
    .await;
    let wanted =
        [(used, (false, true)), (since, (false, true)), (next, (true, false)), (proven, (true, false))];
    assert_eq!(shown(&app, "sess_1").await, BTreeMap::from(wanted));
}

#[tokio::test]
async fn the_sweep_closes_sessions_that_ran_out() {
    let world = World::new().await;
    let app = world.app().await;
    let user = super::verify::insert_user(&app).await;
    let insert = "
        INSERT INTO game_sessions (session_id, user_id, created_at, expires_at)
        SELECT 'sess_' || n, $1, now() - interval '50 days', now() - n * interval '1 day' FROM generate_series(-1, 1500) n";
    sqlx::query(insert).bind(user).execute(&app.database).await.unwrap();
    // All but the one that ends tomorrow, in more than one batch.
    assert_eq!(laurel::ledger::sweep(&app.database, 30).await.unwrap(), 1501);
    let open: Vec<(String, bool)> =
        sqlx::query_as("SELECT session_id, ended_at IS NULL FROM game_sessions WHERE is_active")
            .fetch_all(&app.database)
            .await
            .unwrap();
    assert_eq!(open, [("sess_-1".to_owned(), true)]);
    assert_eq!(laurel::ledger::sweep(&app.database, 30).await.unwrap(), 0);
}

#[tokio::test]
async fn the_sweep_forgets_what_looked_like_cheating_after_the_retention() {
    let world = World::new().await;
    let app = world.app().await;
    let hours = "FROM generate_series(0, 1500) n, LATERAL (SELECT now() - n * interval '1 hour' AS hour) it";
    let insert = format!(
        "INSERT INTO suspicions (suspect, is_user, sign, hour, count) SELECT '10.0.0.1', FALSE, 'forged', hour, 1 {hours};
         INSERT INTO suspect_addresses (address, user_id, sign, hour, count)
         SELECT '10.0.0.1', gen_random_uuid(), 'forged', hour, 1 {hours}"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(insert)).execute(&app.database).await.unwrap();
    laurel::ledger::sweep(&app.database, 30).await.unwrap();
    for table in ["suspicions", "suspect_addresses"] {
        let left = format!("SELECT count(*) FROM {table}");
        let left: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(left)).fetch_one(&app.database).await.unwrap();
        assert_eq!(left, 30 * 24, "{table}");
    }
}
