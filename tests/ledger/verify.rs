use laurel::app::App;
use sqlx::Connection;
use uuid::Uuid;

use crate::harness::{TestStores, assert_ledger_matches, ledger_mismatches, mismatches};
use crate::scripts::number;

/// A user with the number and name that `scripts::award` uses for the id.
pub async fn insert_user(app: &App) -> Uuid {
    let id = app.clock.new_id();
    sqlx::query(
        "INSERT INTO users (id, number, username, email, password_hash) OVERRIDING SYSTEM VALUE
         VALUES ($1, $2, $3, $3 || '@example.com', '!')",
    )
    .bind(id)
    .bind(number(id) as i64)
    .bind(format!("u{}", number(id)))
    .execute(&app.database)
    .await
    .unwrap();
    id
}

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

    let id = |place: usize| players[place].identity.user;
    let mut redis_client = stores.redis_client().await;
    let _: u64 = redis_client.query(&format!("ZADD leaderboard:global 21 {}", id(0))).await;
    let _: () = redis_client.query(&format!("SET user:score:{} 7", id(1))).await;
    let _: u64 = redis_client.query(&format!("ZREM leaderboard:global {}", id(2))).await;
    let _: u64 = redis_client.query("ZADD leaderboard:global 5 a-stranger").await;
    let database = &node.app.database;
    let update = async |sql: &'static str, place: usize| {
        sqlx::query(sql).bind(id(place)).execute(database).await.unwrap();
    };
    update("UPDATE users SET score = 25 WHERE id = $1", 3).await;
    update("UPDATE score_history SET score_before = 11, score_after = 21 WHERE user_id = $1 AND score_before = 10", 4).await;

    let found = mismatches(&node.app).await;
    let mut users: Vec<_> = found.iter().map(|it| it.subject.clone()).collect();
    users.sort();
    let mut wanted: Vec<_> = (0..5).map(|it| id(it).to_string()).chain(["a-stranger".to_owned()]).collect();
    // In the ledger one user has 21 points now, ahead of the others.
    wanted.extend((1..=5).map(|place| format!("rank {place}")));
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
    let who = players[4].identity.user;
    let _: i64 = stores.redis_client().await.query(&format!("INCRBY user:score:{who} 5")).await;
    let found = laurel::ledger::check_sample(&node.app.ledger, &mut after).await.unwrap();
    assert_eq!(found.iter().map(|it| it.subject.clone()).collect::<Vec<_>>(), [who.to_string()]);
    assert!(found[0].detail.contains("user:score has 15, the ledger's sum is 10"), "{}", found[0].detail);
}

/// Runs `laurel verify` with more arguments on these stores.
async fn run(stores: &TestStores, words: &[&str]) -> (bool, String) {
    let mut command = crate::harness::laurel_command(&stores.config);
    command.arg("verify").args(words);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    (output.status.success(), said)
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
    let as_mary = postgres.url.replace("user=laurel", "user=mary");
    assert_ne!(as_mary, postgres.url);
    stores.config.postgres.url = as_mary.into();
    for (words, counts) in [
        (&[][..], "3 users, 3 ledger entries, 0 mismatches"),
        (&["--ledger"], "3 ledger entries, 0 mismatches"),
    ] {
        let (whole, said) = run(&stores, words).await;
        assert!(whole && said.contains(counts), "{words:?}: {said}");
    }
    let mut own = sqlx::PgConnection::connect(stores.config.postgres.url.expose()).await.unwrap();
    for secret in
        ["SELECT email FROM users", "SELECT proof_of_work FROM user_action", "SELECT entry FROM dead_letters"]
    {
        let refused = sqlx::raw_sql(secret).execute(&mut own).await.unwrap_err();
        assert_eq!(refused.as_database_error().unwrap().code().unwrap(), "42501", "{secret}");
    }

    // A schema of another version is reported in one line, and stays as it is.
    for (change, message) in [
        ("INSERT INTO _sqlx_migrations SELECT 9999, description, installed_on, success, checksum, execution_time
          FROM _sqlx_migrations LIMIT 1", "the tables are at migration 9999"),
        ("UPDATE _sqlx_migrations SET version = 0 WHERE version = 1; DELETE FROM _sqlx_migrations WHERE version = 9999",
         "migration 1 is missing: run laurel migrate"),
        ("ALTER TABLE _sqlx_migrations RENAME TO other", "Laurel's tables are missing"),
    ] {
        sqlx::raw_sql(change).execute(&database).await.unwrap();
        for words in [&[][..], &["--ledger"]] {
            let (whole, said) = run(&stores, words).await;
            let lines: Vec<&str> = said.lines().filter(|it| it.starts_with("laurel: ")).collect();
            assert!(!whole && lines.len() == 1 && lines[0].contains(message), "{words:?}: {said}");
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
    let who = players[0].identity.user;
    let gone = sqlx::query("DELETE FROM user_action WHERE user_id = $1").bind(who);
    gone.execute(&node.app.database).await.unwrap();
    let found = ledger_mismatches(&node.app).await;
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].detail.contains("no token was spent for it"), "{found:?}");
}
