//! Which stores a command uses, and which commands may create tables.

use sqlx::{Connection, PgConnection};

use super::{run, text};
use crate::harness::{self, TestStores};

#[tokio::test]
async fn verify_and_rebuild_print_urls_without_passwords() {
    let mut stores = TestStores::with_shards(1).await;
    let postgres = format!("{}&password=hunter2", stores.config.postgres.url.expose());
    stores.config.postgres.url = postgres.into();
    let _node = stores.start_node().await;
    let redis = stores.config.redis.url.expose().to_owned();
    for (words, names_redis) in [("verify", true), ("verify --ledger", false), ("rebuild", true)] {
        let mut command = harness::laurel_command(&stores.config);
        command.args(words.split(' '));
        let ended = run(command).await;
        let (stdout, stderr) = (text(&ended.stdout), text(&ended.stderr));
        assert!(ended.status.success(), "{words}: {stderr}");
        assert_eq!(stdout.contains(&format!("Redis: {redis}\n")), names_redis, "{words}: {stdout}");
        assert!(
            stdout.contains("Postgres: postgres:///test_") && stdout.contains("?host="),
            "{words}: {stdout}"
        );
        assert!(!stdout.contains("hunter2") && !stderr.contains("hunter2"), "{words}: {stdout}{stderr}");
    }
}

#[tokio::test]
async fn only_serve_seed_and_migrate_make_tables() {
    let stores = TestStores::without_tables().await;
    let mut database = PgConnection::connect(stores.config.postgres.url.expose()).await.unwrap();
    for words in [
        "verify",
        "verify --ledger",
        "rebuild",
        "rebuild --lost",
        "admin ban 1 --reason test",
        "admin grant 1 --reason test",
        "admin dead-letters list",
        "ledger detach --before 2020-01",
    ] {
        let mut command = harness::laurel_command(&stores.config);
        command.args(words.split(' '));
        let ended = run(command).await;
        let stderr = text(&ended.stderr);
        assert_eq!(ended.status.code(), Some(1), "{words}: {stderr}");
        assert!(stderr.contains("laurel migrate") && stderr.lines().count() == 1, "{words}: {stderr}");
        let count = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace";
        let tables: i64 = sqlx::query_scalar(count).fetch_one(&mut database).await.unwrap();
        assert_eq!(tables, 0, "{words}");
    }
}
