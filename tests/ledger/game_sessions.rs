//! Game sessions and their tokens in Postgres, and the sweep of old rows.

use std::collections::BTreeMap;

use laurel::action::Flow;
use laurel::app::App;
use laurel::store::NextToken;
use laurel::token::{ActToken, new_session_id};
use uuid::Uuid;

use super::{insert_user, write};
use crate::harness::{TestStores, assert_ledger_matches};
use crate::scripts::redeem;

#[tokio::test]
async fn session_entries_may_arrive_in_any_order() {
    let stores = TestStores::new().await;
    let app = stores.build_app().await;
    laurel::ledger::await_board(&app.ledger, |_| ()).await.unwrap();
    let user = insert_user(&app).await;
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
    app.store.start(&start).await.unwrap().0.unwrap();
    for pair in tokens.windows(2) {
        let (hash, next) =
            (pair[0].hash(), NextToken { token: pair[1].as_str().to_owned(), hash: pair[1].hash() });
        let request = laurel::store::Redeem {
            attempt_id: pair[0].attempt_id(),
            token_hash: &hash,
            flow: Flow::Game,
            next: Some(&next),
            username: &username,
            ..redeem(user, &hash)
        };
        app.store.redeem(&request).await.unwrap();
    }
    app.store.finish(user, 1000, Uuid::new_v4()).await.unwrap().unwrap();
    let mut reader = app.store.outbox_reader().await.unwrap();
    let (mut entries, _) = reader.read(100, 0).await.unwrap();
    assert_eq!(entries.len(), 4);
    let mut writer = app.database.acquire().await.unwrap();
    for _ in 0..2 {
        entries.reverse();
        for entry in &entries {
            write(&app, &mut writer, std::slice::from_ref(entry)).await;
        }
        write(&app, &mut writer, &entries).await;
    }
    let row: (String, bool, i64, bool) = sqlx::query_as(
        "SELECT session_id, is_active, actions_count, created_at <= ended_at AND ended_at < expires_at FROM game_sessions",
    )
    .fetch_one(&app.database)
    .await
    .unwrap();
    assert_eq!(row, (session.clone(), false, 2, true));
    let rows = session_tokens(&app, &session).await;
    let wanted = [true, true, false].map(|is_used| (false, is_used));
    assert_eq!(rows, tokens.iter().map(ActToken::hash).zip(wanted).collect::<BTreeMap<_, _>>());
    let attempts: Vec<Option<String>> =
        sqlx::query_scalar("SELECT session_id FROM user_action").fetch_all(&app.database).await.unwrap();
    assert_eq!(attempts, [Some(session.clone()), Some(session)]);
    app.store.ack(&entries).await.unwrap();
    assert_ledger_matches(&stores).await;
}

/// The tokens of a session, from the view `action_tokens`: is each active, and was it used?
async fn session_tokens(app: &App, session: &str) -> BTreeMap<String, (bool, bool)> {
    let rows: Vec<(String, bool, bool, bool)> = sqlx::query_as(
        "SELECT action_token_hash, id = attempt_of(action_token_hash), is_active, used_at IS NOT NULL
         FROM action_tokens WHERE session_id = $1",
    )
    .bind(session)
    .fetch_all(&app.database)
    .await
    .unwrap();
    assert!(
        rows.iter().all(|(_, has_attempt_id, _, _)| *has_attempt_id),
        "the id of a token is the id of its attempt"
    );
    rows.into_iter().map(|(hash, _, is_active, is_used)| (hash, (is_active, is_used))).collect()
}

#[tokio::test]
async fn unused_tokens_are_shown_as_active() {
    let stores = TestStores::new().await;
    let app = stores.build_app().await;
    let user = insert_user(&app).await;
    let tokens = [ActToken::new(), ActToken::new(), ActToken::new()];
    let [used, next, verified] = tokens.each_ref().map(ActToken::hash);
    let rows = format!(
        "INSERT INTO game_sessions (session_id, user_id, created_at, expires_at, actions_count, next_hash, next_at, next_number)
         VALUES ('sess_1', '{user}', now(), now() + interval '1 hour', 1, '{next}', now(), 1);
         INSERT INTO user_action (id, user_id, action_type, score_value, token_hash, proven_hash, session_id, created_at, expires_at,
                                  completed_at)
         VALUES (attempt_of('{used}'), '{user}', 'watch_ad', 10, '{used}', NULL, 'sess_1', now(), now() + interval '1 hour', now()),
                (attempt_of('{verified}'), '{user}', 'watch_ad', 10, NULL, '{verified}', 'sess_1', now(), now() + interval '1 hour',
                 NULL)",
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(rows)).execute(&app.database).await.unwrap();
    let wanted = [(used, (false, true)), (next, (true, false)), (verified, (true, false))];
    assert_eq!(session_tokens(&app, "sess_1").await, BTreeMap::from(wanted));
}

#[tokio::test]
async fn the_sweep_closes_expired_sessions() {
    let stores = TestStores::new().await;
    let app = stores.build_app().await;
    let user = insert_user(&app).await;
    let insert = "
        INSERT INTO game_sessions (session_id, user_id, created_at, expires_at)
        SELECT 'sess_' || n, $1, now() - interval '50 days', now() - n * interval '1 day' FROM generate_series(-1, 1500) n";
    sqlx::query(insert).bind(user).execute(&app.database).await.unwrap();
    // All but the one that expires tomorrow, in several batches.
    assert_eq!(laurel::retention::sweep(&app.database, 30).await.unwrap(), 1501);
    let open: Vec<(String, bool)> =
        sqlx::query_as("SELECT session_id, ended_at IS NULL FROM game_sessions WHERE is_active")
            .fetch_all(&app.database)
            .await
            .unwrap();
    assert_eq!(open, [("sess_-1".to_owned(), true)]);
    assert_eq!(laurel::retention::sweep(&app.database, 30).await.unwrap(), 0);
}

#[tokio::test]
async fn the_sweep_deletes_old_abuse_signals() {
    let stores = TestStores::new().await;
    let app = stores.build_app().await;
    let hours =
        "FROM generate_series(0, 1500) n, LATERAL (SELECT now() - n * interval '1 hour' AS hour) hours";
    let insert = format!(
        "INSERT INTO abuse_signals (suspect, is_user, signal, hour, count) SELECT '10.0.0.1', FALSE, 'forged', hour, 1 {hours};
         INSERT INTO suspect_addresses (address, user_id, signal, hour, count)
         SELECT '10.0.0.1', gen_random_uuid(), 'forged', hour, 1 {hours}"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(insert)).execute(&app.database).await.unwrap();
    laurel::retention::sweep(&app.database, 30).await.unwrap();
    for table in ["abuse_signals", "suspect_addresses"] {
        let left = format!("SELECT count(*) FROM {table}");
        let left: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(left)).fetch_one(&app.database).await.unwrap();
        assert_eq!(left, 30 * 24, "{table}");
    }
}
