use laurel::action::Door;
use laurel::store::NextToken;
use laurel::token::{ActToken, new_session_id};
use uuid::Uuid;

use crate::harness::{World, assert_verified};
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
            door: Door::Game,
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
    let rows: Vec<(String, bool, bool)> = sqlx::query_as(
        "SELECT action_token_hash, is_active, used_at IS NOT NULL FROM action_tokens ORDER BY created_at, used_at",
    )
    .fetch_all(&app.database)
    .await
    .unwrap();
    let mut wanted: Vec<_> = tokens.iter().map(|it| (it.hash(), false, true)).collect();
    wanted[2] = (tokens[2].hash(), true, false);
    let sorted = |mut rows: Vec<(String, bool, bool)>| {
        rows.sort();
        rows
    };
    assert_eq!(sorted(rows), sorted(wanted));
    let attempts: Vec<Option<String>> =
        sqlx::query_scalar("SELECT session_id FROM user_action").fetch_all(&app.database).await.unwrap();
    assert_eq!(attempts, [Some(session.clone()), Some(session)]);
    app.store.settle(&entries).await.unwrap();
    assert_verified(&world).await;
}

#[tokio::test]
async fn the_sweep_closes_sessions_and_forgets_old_tokens() {
    let world = World::new().await;
    let app = world.app().await;
    let user = super::verify::insert_user(&app).await;
    let insert = "
        WITH sessions AS (
            INSERT INTO game_sessions (session_id, user_id, created_at, expires_at)
            SELECT 'sess_' || n, $1, now() - interval '50 days', now() - n * interval '1 day'
            FROM generate_series(-1, 40) n RETURNING session_id, expires_at)
        INSERT INTO action_tokens (action_token_hash, session_id, user_id, created_at, expires_at)
        SELECT session_id || '_' || k, session_id, $1, now() - interval '50 days', expires_at
        FROM sessions, generate_series(1, 100) k";
    sqlx::query(insert).bind(user).execute(&app.database).await.unwrap();
    // The session that ends now, and the ten that ended more than thirty days ago.
    let (closed, deleted) = laurel::ledger::sweep(&app.database, 30).await.unwrap();
    assert_eq!((closed, deleted), (41, 1100));
    let open: (i64, i64) = sqlx::query_as(
        "SELECT count(*) FILTER (WHERE is_active), count(*) FILTER (WHERE is_active AND expires_at < now()) FROM action_tokens",
    )
    .fetch_one(&app.database)
    .await
    .unwrap();
    assert_eq!(open, (100, 0), "a token that ran out is no longer active");
    assert_eq!(laurel::ledger::sweep(&app.database, 30).await.unwrap(), (0, 0));
}
