//! Commands print the stores that they use, and only some of them create tables.

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
    for (command_line, uses_redis) in [("verify", true), ("verify --ledger", false), ("rebuild", true)] {
        let mut command = harness::laurel_command(&stores.config);
        command.args(command_line.split(' '));
        let output = run(command).await;
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{command_line}: {stderr}");
        assert_eq!(stdout.contains(&format!("Redis: {redis}\n")), uses_redis, "{command_line}: {stdout}");
        assert!(
            stdout.contains("Postgres: postgres:///test_") && stdout.contains("?host="),
            "{command_line}: {stdout}"
        );
        assert!(
            !stdout.contains("hunter2") && !stderr.contains("hunter2"),
            "{command_line}: {stdout}{stderr}"
        );
    }
}

#[tokio::test]
async fn only_serve_seed_and_migrate_create_tables() {
    let stores = TestStores::without_tables().await;
    let mut database = PgConnection::connect(stores.config.postgres.url.expose()).await.unwrap();
    for command_line in [
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
        command.args(command_line.split(' '));
        let output = run(command).await;
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{command_line}: {stderr}");
        assert!(stderr.contains("laurel migrate") && stderr.lines().count() == 1, "{command_line}: {stderr}");
        let count = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace";
        let tables: i64 = sqlx::query_scalar(count).fetch_one(&mut database).await.unwrap();
        assert_eq!(tables, 0, "{command_line}");
    }
}
