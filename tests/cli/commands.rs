//! Commands print the stores that they use, only some of them create tables, and the audit log names the actor of `laurel admin`.

use std::process::Command;

use serde_json::Value;
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

/// Runs a system tool. Returns its output.
fn output_of(program: &str, arguments: &[&str]) -> String {
    text(&Command::new(program).args(arguments).output().unwrap().stdout).trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_has_the_account_and_host_of_the_command() {
    let stores = TestStores::with_shards(1).await;
    let node = stores.start_node().await;
    node.register("ada").await;
    let (account, host) = (output_of("id", &["-un"]), output_of("uname", &["-n"]));
    let cases: [(Option<&str>, &[&str], String); 4] = [
        (None, &[], format!("cli:{account}")),
        (Some("mallory"), &[], format!("cli:{account}")),
        (Some(""), &["--as", "mary"], format!("cli:{account} as mary")),
        (None, &["--as", "Mary Ann"], format!("cli:{account} as Mary Ann")),
    ];
    for (user, arguments, actor) in cases {
        for key in [None, Some("once")] {
            let mut command = harness::laurel_command(&stores.config);
            command.args(["admin", "adjust", "ada", "--points=5", "--reason", "a test"]).args(arguments);
            command.args(key.into_iter().flat_map(|key| ["--key", key])).env_remove("USER");
            command.envs(user.map(|user| ("USER", user)));
            let output = run(command).await;
            assert!(output.status.success(), "{}", text(&output.stderr));
            let newest = "SELECT actor, detail FROM admin_audit ORDER BY created_at DESC, id DESC LIMIT 1";
            let (recorded, detail): (String, Value) =
                sqlx::query_as(newest).fetch_one(&node.app.database).await.unwrap();
            assert_eq!((recorded.as_str(), detail["host"].as_str()), (actor.as_str(), Some(host.as_str())));
        }
    }
    // An idempotency key is bound to the actor, not to the host.
    let insert = "INSERT INTO admin_audit (id, actor, action, user_id, reason, detail, idempotency_key)
                 SELECT gen_random_uuid(), $1, 'adjust', id, 'a test', '{\"points\": 5, \"host\": \"other-host\"}', 'twice'
                 FROM users WHERE username = 'ada'";
    let inserted = sqlx::query(insert).bind(format!("cli:{account}")).execute(&node.app.database).await;
    assert_eq!(inserted.unwrap().rows_affected(), 1);
    let count = "SELECT count(*) FROM admin_audit";
    let before: i64 = sqlx::query_scalar(count).fetch_one(&node.app.database).await.unwrap();
    let mut command = harness::laurel_command(&stores.config);
    command.args(["admin", "adjust", "ada", "--points=5", "--reason", "a test", "--key", "twice"]);
    assert!(run(command).await.status.success());
    let after: i64 = sqlx::query_scalar(count).fetch_one(&node.app.database).await.unwrap();
    assert_eq!(before, after);
}
