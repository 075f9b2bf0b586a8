//! Redis refuses writes because of its state, or commands because an operator changed the login or its rights. No request gets 500.

use redis::aio::MultiplexedConnection;
use serde_json::{Value, json};

use crate::harness::{NodeProcess, Player, TestNode, TestStores, connect_redis, eventually};

/// Runs a Redis command as an operator.
async fn run(operator: &mut MultiplexedConnection, text: &str) {
    let mut command = redis::Cmd::new();
    command.arg(text.split(' ').collect::<Vec<_>>());
    command.exec_async(operator).await.unwrap();
}

/// Sends requests that need Redis: an award, a game, a login, an uncached read. Returns their statuses.
async fn request_all(node: &TestNode, player: &Player) -> Vec<u16> {
    let login = json!({ "username": "ada", "password": "correct horse" });
    let read = format!("/api/scoreboard/user/{}", player.identity.user);
    let mut responses = vec![
        node.init(player, "watch_ad").await,
        node.post("/api/game/start", &player.token, &json!({})).await,
        node.post("/api/auth/login", "", &login).await,
        node.post("/api/v1/action-tokens", &player.token, &json!({ "actionType": "watch_ad" })).await,
        node.get(&read).await,
    ];
    if let Some(token) = responses[0].body["antiSpamToken"].as_str() {
        responses.push(node.finalize(player, token, Value::Null).await);
    }
    for response in &responses {
        assert!(response.status < 500 || response.header("retry-after") == "1", "{response:?}");
    }
    responses.into_iter().map(|it| it.status).collect()
}

/// Waits until awards are refused and the reason is reported, while reads go on.
async fn wait_for_refusal(node: &TestNode, change: &str) {
    eventually(change, async || {
        let ready = node.get("/readyz").await;
        assert_eq!(ready.status, 200, "reads go on");
        let awards = node.get("/readyz/awards").await;
        let is_reported = ready.body["degraded"] == json!(["redis_writes"]);
        let metrics = node.get("/metrics").await.text;
        let is_measured = metrics.contains("\nlaurel_redis_refuses_writes 1\n");
        let is_refused = awards.status == 503 && awards.header("retry-after") == "1";
        (is_refused && is_reported && is_measured).then_some(())
    })
    .await;
}

/// Waits until awards are accepted on every connection.
async fn wait_for_recovery(node: &TestNode, player: &Player, change: &str) {
    eventually(change, async || {
        let ready = node.get("/readyz/awards").await;
        (ready.status == 200 && ready.body["degraded"] == json!([])).then_some(())
    })
    .await;
    eventually("each connection to recover", async || {
        request_all(node, player).await.iter().all(|status| *status < 500).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_redis_that_refuses_writes_takes_no_awards() {
    for shards in [1, 3] {
        let stores = TestStores::with_shards(shards).await;
        let mut operator = connect_redis(&stores.redis.url).await.unwrap();
        let node = stores.start_node_with(|it| it.tokens.action_interval_seconds = 0).await;
        let ada = node.register("ada").await;
        wait_for_recovery(&node, &ada, "the start").await;
        for (change, undo) in [
            ("CONFIG SET maxmemory 1mb", "CONFIG SET maxmemory 0"),
            ("CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0"),
            ("CONFIG SET min-replicas-to-write 3", "CONFIG SET min-replicas-to-write 0"),
            ("REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE"),
            ("ACL SETUSER default -zadd", "ACL SETUSER default +zadd"),
        ] {
            run(&mut operator, change).await;
            wait_for_refusal(&node, change).await;
            assert!(request_all(&node, &ada).await.contains(&503), "{change}");
            assert_eq!(node.get("/api/v1/scores/leaderboard").await.status, 200);
            run(&mut operator, undo).await;
            wait_for_recovery(&node, &ada, undo).await;
        }
        node.stop().await;
    }
}

#[tokio::test]
async fn changed_login_or_rights_are_an_outage() {
    let stores = TestStores::with_shards(1).await;
    let mut operator = connect_redis(&stores.redis.url).await.unwrap();
    let grant = "ACL SETUSER laurel on >secret allkeys allchannels +@all";
    run(&mut operator, grant).await;
    let url = format!("{}?user=laurel&pass=secret", stores.config.redis.url.expose());
    let node = stores
        .start_node_with(|config| {
            config.redis.url = url.into();
            config.tokens.action_interval_seconds = 0;
        })
        .await;
    let ada = node.register("ada").await;
    for change in [
        "ACL SETUSER laurel -evalsha -eval",
        "ACL SETUSER laurel -@write",
        "ACL SETUSER laurel -@all",
        "ACL SETUSER laurel resetkeys ~token:*",
        "ACL SETUSER laurel resetkeys ~shard:* ~leaderboard:*",
        "ACL SETUSER laurel -get",
        "ACL SETUSER laurel -hmget",
        "ACL DELUSER laurel",
        "ACL SETUSER laurel resetpass >another",
    ] {
        run(&mut operator, change).await;
        // Open connections keep their login.
        run(&mut operator, "CLIENT KILL TYPE normal SKIPME yes").await;
        eventually(change, async || (request_all(&node, &ada).await.contains(&503)).then_some(())).await;
        for _ in 0..10 {
            request_all(&node, &ada).await;
        }
        run(&mut operator, grant).await;
        wait_for_recovery(&node, &ada, change).await;
    }
}

#[tokio::test]
async fn the_log_contains_the_error_of_redis() {
    let stores = TestStores::with_shards(1).await;
    let log = stores.folder.path().join("log");
    let file = std::fs::File::create(&log).unwrap();
    let _node = NodeProcess::start_with_log(&stores.config, &[], file).await;
    let mut operator = connect_redis(&stores.redis.url).await.unwrap();
    for (changes, undo, error) in [
        (vec!["CONFIG SET maxmemory 1"], "CONFIG SET maxmemory 0", "OOM command not allowed"),
        (
            vec!["CONFIG SET min-replicas-to-write 1"],
            "CONFIG SET min-replicas-to-write 0",
            "NOREPLICAS Not enough",
        ),
        (
            vec!["CONFIG SET requirepass secret", "CLIENT KILL TYPE normal SKIPME yes"],
            "CONFIG SET requirepass ",
            "NOAUTH Authentication required",
        ),
        (
            vec!["ACL SETUSER default -zadd"],
            "ACL SETUSER default +zadd",
            "NOPERM this user has no permissions",
        ),
    ] {
        for change in changes {
            run(&mut operator, change).await;
        }
        eventually(error, async || {
            let text = std::fs::read_to_string(&log).unwrap();
            text.lines().any(|line| line.contains(error) && !line.contains("secret")).then_some(())
        })
        .await;
        run(&mut operator, undo).await;
    }
}
