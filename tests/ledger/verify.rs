//! `laurel verify` and the background check find mismatches between Redis and the ledger, and within the ledger.

use sqlx::Connection;

use super::run_laurel;
use crate::harness::{TestStores, assert_ledger_matches, ledger_mismatches, mismatches};

#[tokio::test]
async fn every_kind_of_mismatch_is_reported() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let players = node.create_players(6).await;
    for player in &players {
        node.award(player, "watch_ad").await;
        node.award(player, "watch_ad").await;
    }
    assert_ledger_matches(&stores).await;

    let id = |index: usize| players[index].identity.user;
    let mut redis_client = stores.redis_client().await;
    let _: u64 = redis_client.query(&format!("ZADD leaderboard:global 21 {}", id(0))).await;
    let _: () = redis_client.query(&format!("SET user:score:{} 7", id(1))).await;
    let _: u64 = redis_client.query(&format!("ZREM leaderboard:global {}", id(2))).await;
    let _: u64 = redis_client.query("ZADD leaderboard:global 5 a-stranger").await;
    let database = &node.app.database;
    let update = async |sql: &'static str, index: usize| {
        sqlx::query(sql).bind(id(index)).execute(database).await.unwrap();
    };
    update("UPDATE users SET score = 25 WHERE id = $1", 3).await;
    update("UPDATE score_history SET score_before = 11, score_after = 21 WHERE user_id = $1 AND score_before = 10", 4).await;

    let found = mismatches(&node.app).await;
    let mut users: Vec<_> = found.iter().map(|it| it.subject.clone()).collect();
    users.sort();
    let mut wanted: Vec<_> =
        (0..5).map(|index| id(index).to_string()).chain(["a-stranger".to_owned()]).collect();
    // In the ledger one user has 21 points now, more than the others.
    wanted.extend((1..=5).map(|rank| format!("rank {rank}")));
    wanted.sort();
    assert_eq!(users, wanted, "{found:#?}");
}

#[tokio::test]
async fn the_background_check_finds_mismatches() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let players = node.create_players(5).await;
    for player in &players {
        node.award(player, "watch_ad").await;
    }
    node.wait_for_ledger().await;
    let mut after = uuid::Uuid::nil();
    assert_eq!(laurel::ledger::check_sample(&node.app.ledger, &mut after).await.unwrap(), []);
    assert!(after.is_nil(), "all users were checked, the next check starts over");
    let user = players[4].identity.user;
    let _: i64 = stores.redis_client().await.query(&format!("INCRBY user:score:{user} 5")).await;
    let found = laurel::ledger::check_sample(&node.app.ledger, &mut after).await.unwrap();
    assert_eq!(found.iter().map(|it| it.subject.clone()).collect::<Vec<_>>(), [user.to_string()]);
    assert!(found[0].detail.contains("user:score has 15, the ledger's sum is 10"), "{}", found[0].detail);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_role_can_verify() {
    let (mut stores, postgres) = TestStores::with_own_postgres().await;
    let node = stores.start_node().await;
    for player in node.create_players(3).await {
        node.award(&player, "watch_ad").await;
    }
    node.wait_for_ledger().await;
    let database = node.app.database.clone();
    sqlx::raw_sql(include_str!("../../deploy/postgres/auditor.sql")).execute(&database).await.unwrap();
    let mary = "CREATE ROLE mary LOGIN IN ROLE laurel_auditor; ALTER ROLE mary SET default_transaction_read_only = on";
    sqlx::raw_sql(mary).execute(&database).await.unwrap();
    let url_of_mary = postgres.url.replace("user=laurel", "user=mary");
    assert_ne!(url_of_mary, postgres.url);
    stores.config.postgres.url = url_of_mary.into();
    for (arguments, counts) in [
        (&["verify"][..], "3 users, 3 ledger entries, 12 board entries, 0 mismatches"),
        (&["verify", "--ledger"], "3 ledger entries, 0 mismatches"),
    ] {
        let (succeeded, text) = run_laurel(&stores, arguments).await;
        assert!(succeeded && text.contains(counts), "{arguments:?}: {text}");
    }
    let unsigned = "INSERT INTO board_periods (board, period, starts_us, counts_from_us, ends_us, closes_us, rules, closed_at)
                    SELECT board, '2001-01-01', 1, 1, 2, 2, rules, now() FROM board_periods WHERE board = 'daily'";
    sqlx::raw_sql(unsigned).execute(&database).await.unwrap();
    let (succeeded, text) = run_laurel(&stores, &["verify", "--board", "daily"]).await;
    assert!(!succeeded && text.contains("board daily, period 2001-01-01: it has no signed root"), "{text}");
    let mut connection = sqlx::PgConnection::connect(stores.config.postgres.url.expose()).await.unwrap();
    for query in
        ["SELECT email FROM users", "SELECT proof_of_work FROM user_action", "SELECT entry FROM dead_letters"]
    {
        let error = sqlx::raw_sql(query).execute(&mut connection).await.unwrap_err();
        assert_eq!(error.as_database_error().unwrap().code().unwrap(), "42501", "{query}");
    }

    // One line reports a schema of another version. The schema does not change.
    for (change, message) in [
        ("INSERT INTO _sqlx_migrations SELECT 9999, description, installed_on, success, checksum, execution_time
          FROM _sqlx_migrations LIMIT 1", "the tables are at migration 9999"),
        ("UPDATE _sqlx_migrations SET version = 0 WHERE version = 1; DELETE FROM _sqlx_migrations WHERE version = 9999",
         "migration 1 is missing: run laurel migrate"),
        ("ALTER TABLE _sqlx_migrations RENAME TO other", "Laurel's tables are missing"),
    ] {
        sqlx::raw_sql(change).execute(&database).await.unwrap();
        for arguments in [&["verify"][..], &["verify", "--ledger"]] {
            let (succeeded, text) = run_laurel(&stores, arguments).await;
            let lines: Vec<&str> = text.lines().filter(|it| it.starts_with("laurel: ")).collect();
            assert!(!succeeded && lines.len() == 1 && lines[0].contains(message), "{arguments:?}: {text}");
        }
    }
}

#[tokio::test]
async fn awards_without_attempts_are_reported() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let players = node.create_players(2).await;
    for player in &players {
        node.award(player, "watch_ad").await;
    }
    assert_ledger_matches(&stores).await;
    let user = players[0].identity.user;
    let delete = sqlx::query("DELETE FROM user_action WHERE user_id = $1").bind(user);
    delete.execute(&node.app.database).await.unwrap();
    let found = ledger_mismatches(&node.app).await;
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].detail.contains("no token was spent for it"), "{found:?}");
}
