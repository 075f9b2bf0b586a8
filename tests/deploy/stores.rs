//! A node on the hardened stores, with least privileges and secrets in files: everything works, and Redis refuses no command.

use std::collections::BTreeSet;
use std::process::Output;

use laurel::clock::Clock;
use laurel::config::{self, Config};
use laurel::serve::Node;
use serde_json::json;
use sqlx::{Connection, PgConnection};

use super::servers::{HardenedPostgres, HardenedRedis, Secrets, project_path};
use crate::harness::{Collector, TEST_TIMEOUT, TestNode, connect_redis, eventually, laurel_binary};

/// The store settings of a node.
pub fn settings(
    secrets: &Secrets,
    redis: &HardenedRedis,
    postgres: &HardenedPostgres,
) -> Vec<(String, String)> {
    let redis_url = secrets.write_url("redis_url", "redis:6379", redis.port);
    let database_url = secrets.write_url("database_url", "postgres:5432", postgres.port);
    [
        ("REDIS_URL_FILE", redis_url),
        ("DATABASE_URL_FILE", database_url),
        ("JWT_SECRET_FILE", secrets.path("jwt_secret")),
    ]
    .map(|(name, path)| (name.to_owned(), path.to_str().unwrap().to_owned()))
    .to_vec()
}

/// Runs a command of the program.
pub fn run(settings: &[(String, String)], arguments: &str) -> Output {
    laurel_binary().envs(settings.iter().cloned()).args(arguments.split(' ')).output().unwrap()
}

/// Runs a command that must succeed. Returns its output.
#[track_caller]
pub fn run_successfully(settings: &[(String, String)], arguments: &str) -> String {
    let output = run(settings, arguments);
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "laurel {arguments}: {stdout}{stderr}");
    stdout.into_owned()
}

async fn start_node(settings: &[(String, String)], change: impl FnOnce(&mut Config)) -> TestNode {
    let mut config = config::load(settings.iter().map(|(name, value)| (name.into(), value.into()))).unwrap();
    config.server.port = 0;
    config.server.drain_seconds = 1;
    config.redis.timeout_ms = 10_000;
    config.redis.wait_timeout_ms = 10_000;
    change(&mut config);
    // A node that Redis refuses waits for ever.
    let started = tokio::time::timeout(TEST_TIMEOUT, Node::start(config, Clock::default())).await;
    TestNode::new(started.expect("the node to start").unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_runs_with_least_privileges() {
    use_every_feature(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_shards_run_with_least_privileges() {
    use_every_feature(3).await;
}

/// Uses every feature that needs a right, on a Redis with a replica.
async fn use_every_feature(shards: u32) {
    let secrets = Secrets::create();
    let (redis, postgres) =
        (HardenedRedis::start(&secrets, "redis", &[]).await, HardenedPostgres::start(&secrets, &[]).await);
    postgres.create_role(&secrets);
    let replica_options = [
        "--replicaof",
        &format!("127.0.0.1 {}", redis.port),
        "--masteruser",
        "replica",
        "--masterauth",
        &secrets.read("redis_replica_password"),
    ];
    let _replica = HardenedRedis::start(&secrets, "replica", &replica_options).await;
    let mut operator = redis.connect_operator(&secrets).await;
    eventually("the replica to be in sync", async || {
        let output: String = redis.connect_operator(&secrets).await.query("INFO replication").await;
        output.contains("state=online").then_some(())
    })
    .await;

    let mut settings = settings(&secrets, &redis, &postgres);
    settings.push(("LAUREL_REDIS__SHARDS".to_owned(), shards.to_string()));
    run_successfully(&settings, "migrate");
    let collector = Collector::start().await;
    let node = start_node(&settings, |config| {
        config.redis.wait_replicas = 1;
        config.traces.endpoint = collector.endpoint.clone();
        config.traces.sample_ratio = 1.0;
    })
    .await;
    let player = node.register("ada").await;
    node.award(&player, "watch_ad").await;
    let game = node.post("/api/game/start", &player.token, &json!({})).await;
    assert_eq!(game.status, 200, "{}", game.text);
    let token = game.body["data"]["actionToken"].as_str().unwrap().to_owned();
    let update = json!({ "actionToken": token, "actionType": "solve_puzzle", "points": 15 });
    let idempotency_key = [("idempotency-key", "once")];
    for _ in 0..2 {
        let updated = node.post_with("/api/score/update", &player.token, &idempotency_key, &update).await;
        assert_eq!(updated.status, 200, "{}", updated.text);
    }
    assert_eq!(node.post("/api/game/end", &player.token, &json!({})).await.status, 200);
    assert_eq!(node.board().await, [("ada".to_owned(), 25, 1)]);

    run_successfully(&settings, "seed --users 20 --max-score 1000");
    for command in ["quarantine", "void", "ban", "unban"] {
        run_successfully(&settings, &format!("admin {command} ada --reason test"));
    }
    run_successfully(&settings, "admin adjust ada --points=7 --reason test");
    node.wait_for_ledger().await;
    assert!(run_successfully(&settings, "verify").contains(" 0 mismatches"));
    assert!(run_successfully(&settings, "verify --ledger").contains(" 0 mismatches"));
    run_successfully(&settings, "rebuild");
    assert!(run_successfully(&settings, "verify").contains(" 0 mismatches"));
    run_successfully(&settings, "ledger detach --before 2000-01");
    node.stop().await;

    let refused: Vec<redis::Value> = operator.query("ACL LOG").await;
    assert!(refused.is_empty(), "Redis refused commands of a node: {refused:?}");
}

#[tokio::test]
async fn least_privileges_allow_nothing_else() {
    let secrets = Secrets::create();
    let (redis, postgres) =
        (HardenedRedis::start(&secrets, "redis", &[]).await, HardenedPostgres::start(&secrets, &[]).await);
    postgres.create_role(&secrets);
    let settings = settings(&secrets, &redis, &postgres);
    let config = config::load(settings.into_iter().map(|(name, value)| (name.into(), value.into()))).unwrap();
    let mut node = connect_redis(config.redis.url.expose()).await.unwrap();
    for command in [
        "FLUSHALL",
        "KEYS *",
        "CONFIG GET *",
        "CONFIG SET appendonly no",
        "SLAVEOF NO ONE",
        "MODULE LIST",
        "ACL LIST",
        "SHUTDOWN NOSAVE",
        "REPLICAOF NO ONE",
        "CLIENT LIST",
        "CLIENT KILL TYPE normal",
        "SCRIPT FLUSH",
        "CLUSTER RESET",
        "MONITOR",
        "SET other:key 1",
        "PUBLISH other:key 1",
    ] {
        let mut words = command.split(' ');
        let mut request = redis::cmd(words.next().unwrap());
        words.for_each(|word| {
            request.arg(word);
        });
        let response: redis::RedisResult<redis::Value> = request.query_async(&mut node).await;
        assert_eq!(response.unwrap_err().code(), Some("NOPERM"), "{command}");
    }
    assert!(
        PgConnection::connect(&format!("postgres://postgres@127.0.0.1:{}/postgres", postgres.port))
            .await
            .is_err()
    );
    let mut role = PgConnection::connect(config.postgres.url.expose()).await.unwrap();
    for statement in [
        "CREATE ROLE other",
        "CREATE DATABASE other",
        "CREATE SCHEMA other",
        "CREATE EXTENSION dblink",
        "SELECT * FROM pg_authid",
        "COPY (SELECT 1) TO PROGRAM 'true'",
        "SELECT pg_read_file('postgresql.conf')",
        "ALTER SYSTEM SET fsync = off",
        "SET session_replication_role = replica",
    ] {
        let error = sqlx::raw_sql(statement).execute(&mut role).await.unwrap_err();
        let code = error.as_database_error().and_then(|error| error.code().map(|code| code.into_owned()));
        assert_eq!(code.as_deref(), Some("42501"), "{statement}: {error}");
    }
    let mut superuser = PgConnection::connect(&postgres.superuser_url(&secrets)).await.unwrap();
    for view in ["pg_file_settings", "pg_hba_file_rules"] {
        // The test has no TLS and sets the listening address.
        let sql = format!("SELECT error FROM {view} WHERE error !~ 'SSL is disabled|could not be applied'");
        let errors: Vec<String> =
            sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_all(&mut superuser).await.unwrap();
        assert_eq!(errors, [] as [&str; 0], "{view}");
    }
}

/// The Redis user may run the commands of the code on the keys and channels of `lua/README.md`, and no others.
#[test]
fn redis_rights_match_the_code() {
    let users = std::fs::read_to_string(project_path("deploy/redis/users.acl")).unwrap();
    let rights: Vec<&str> =
        users.lines().find_map(|it| it.strip_prefix("user laurel on ")).unwrap().split(' ').collect();
    let granted = |mark: char| -> BTreeSet<String> {
        let marked = rights.iter().filter_map(|it| it.strip_prefix(mark));
        marked.map(|right| right.trim_end_matches('*').to_owned()).collect()
    };
    let readme = include_str!("../../lua/README.md");
    let (keys, channels) = readme.split_once("| channel |").unwrap();
    for (names, granted) in [(keys.split_once("| key |").unwrap().1, granted('~')), (channels, granted('&'))]
    {
        for name in names.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()) {
            let is_granted = granted.iter().any(|pattern| {
                name == pattern || (pattern.ends_with(':') && name.starts_with(pattern.as_str()))
            });
            assert!(is_granted, "the user laurel has no right to {name}");
        }
        // With several shards each name has a prefix such as {8.3}.
        for pattern in granted.into_iter().filter(|it| it != "{") {
            assert!(names.contains(&format!("| `{pattern}")), "lua/README.md does not name {pattern}");
        }
    }
    let granted = granted('+');
    // Subcommands are granted by name. Sentinels have their own user, and AUTH needs no right.
    let is_allowed = |command: &&String| {
        granted.iter().any(|right| right.split('|').next() == Some(command))
            || ["sentinel", "auth"].contains(&command.as_str())
    };
    let mut used = BTreeSet::new();
    let store = ["board", "commands", "connection", "entries", "outbox", "script"]
        .map(|name| format!("src/store/{name}"));
    let folders = ["lua", "lua/lib", "src/store"].map(str::to_owned);
    for folder in folders.iter().chain(&store) {
        for file in
            std::fs::read_dir(project_path(folder)).unwrap().flatten().filter(|file| file.path().is_file())
        {
            let text = std::fs::read_to_string(file.path()).unwrap();
            // The load of a board takes its commands from lists.
            let in_lists = if file.file_name() == "load.rs" { "[\"" } else { "cmd(\"" };
            for (before, quote) in [("redis.call('", '\''), ("cmd(\"", '"'), (in_lists, '"')] {
                let names = text.split(before).skip(1).map(|rest| rest.split(quote).next().unwrap());
                let names =
                    names.filter(|name| name.len() > 2 && name.bytes().all(|byte| byte.is_ascii_uppercase()));
                used.extend(names.map(str::to_lowercase));
            }
        }
    }
    assert!(used.len() > 30 && used.contains("zscan"));
    let refused: Vec<&String> = used.iter().filter(|command| !is_allowed(command)).collect();
    assert_eq!(refused, [] as [&String; 0], "Redis would refuse these commands of a node");
}
