//! Which stores a command looks at, and which of them may make something there.

use sqlx::{Connection, PgConnection};

use super::{run, text};
use crate::harness::{self, World};

#[tokio::test]
async fn verify_and_rebuild_print_urls_without_passwords() {
    let mut world = World::with_shards(1).await;
    let postgres = format!("{}&password=hunter2", world.config.postgres.url.expose());
    world.config.postgres.url = postgres.into();
    let _node = world.node().await;
    let redis = world.config.redis.url.expose().to_owned();
    for (words, names_redis) in [("verify", true), ("verify --ledger", false), ("rebuild", true)] {
        let mut command = harness::laurel(&world.config);
        command.args(words.split(' '));
        let ended = run(command).await;
        let (said, complaint) = (text(&ended.stdout), text(&ended.stderr));
        assert!(ended.status.success(), "{words}: {complaint}");
        assert_eq!(said.contains(&format!("Redis: {redis}\n")), names_redis, "{words}: {said}");
        assert!(said.contains("Postgres: postgres:///test_") && said.contains("?host="), "{words}: {said}");
        assert!(!said.contains("hunter2") && !complaint.contains("hunter2"), "{words}: {said}{complaint}");
    }
}

#[tokio::test]
async fn only_serve_seed_and_migrate_make_tables() {
    let world = World::without_tables().await;
    let mut database = PgConnection::connect(world.config.postgres.url.expose()).await.unwrap();
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
        let mut command = harness::laurel(&world.config);
        command.args(words.split(' '));
        let ended = run(command).await;
        let complaint = text(&ended.stderr);
        assert_eq!(ended.status.code(), Some(1), "{words}: {complaint}");
        assert!(
            complaint.contains("laurel migrate") && complaint.lines().count() == 1,
            "{words}: {complaint}"
        );
        let count = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace";
        let tables: i64 = sqlx::query_scalar(count).fetch_one(&mut database).await.unwrap();
        assert_eq!(tables, 0, "{words}");
    }
}
