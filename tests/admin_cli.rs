//! `laurel admin` while nodes run.

use std::process::Output;

use serde_json::Value;

use crate::harness::{self, TestNode, TestStores, assert_ledger_matches, eventually};
use crate::live::socketio::Peer;

async fn run(stores: &TestStores, arguments: &str) -> Output {
    let mut command = harness::laurel_command(&stores.config);
    command
        .args(arguments.split(' '))
        .args(["--as", "mary"].iter().filter(|_| arguments.starts_with("admin ")));
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

/// Runs a command that must succeed. Returns its output.
async fn succeed(stores: &TestStores, arguments: &str) -> String {
    let output = run(stores, arguments).await;
    assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Runs a command that must fail. Returns its errors.
async fn fail(stores: &TestStores, arguments: &str) -> String {
    let output = run(stores, arguments).await;
    assert!(!output.status.success(), "{arguments} succeeded");
    String::from_utf8(output.stderr).unwrap()
}

async fn wait_for_board(node: &TestNode, what: &str, expected: &[(&str, u64)]) {
    eventually(what, async || {
        let board = node.board().await;
        let rows: Vec<(&str, u64)> = board.iter().map(|(name, score, _)| (name.as_str(), *score)).collect();
        (rows == expected).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_take_effect_on_running_nodes() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let (ada, _bob) = (node.register("ada").await, node.register("bob").await);
    node.award(&ada, "complete_level").await;
    succeed(&stores, "admin ban ada --reason cheating").await;
    wait_for_board(&node, "the ban", &[]).await;
    node.init(&ada, "watch_ad").await.assert_refused(403, "FORBIDDEN");
    succeed(&stores, "admin unban ada --reason sorry").await;
    wait_for_board(&node, "the unban", &[("ada", 20)]).await;
    let output = succeed(&stores, "admin adjust bob --points=30 --reason prize").await;
    assert!(output.contains("bob: 0 before, 30 now"), "{output}");
    wait_for_board(&node, "the prize", &[("bob", 30), ("ada", 20)]).await;
    succeed(&stores, "admin quarantine ada --reason odd").await;
    node.award(&ada, "complete_level").await;
    succeed(&stores, "admin void ada --reason bot").await;
    wait_for_board(&node, "the held points to be gone", &[("bob", 30), ("ada", 20)]).await;
    succeed(&stores, "admin grant bob --reason trusted").await;
    let user = laurel::admin::find_user(&node.app.admin, "bob").await.unwrap();
    assert_eq!(user.role, "admin");

    let errors = fail(&stores, "admin ban nobody --reason x").await;
    assert!(errors.contains("User not found"), "{errors}");
    let errors = fail(&stores, "admin adjust ada --points=-21 --reason x").await;
    assert!(errors.contains("points: would take the score below 0"), "{errors}");
    assert!(fail(&stores, "admin ban ada").await.contains("--reason"));
    assert_ledger_matches(&stores).await;
    let entries: Vec<(String, String)> =
        sqlx::query_as("SELECT actor, action || coalesce(' ' || (detail->>'refused'), '') FROM admin_audit ORDER BY created_at")
            .fetch_all(&node.app.database)
            .await
            .unwrap();
    let actions: Vec<&str> = entries.iter().map(|(_, action)| action.as_str()).collect();
    assert_eq!(actions, ["ban", "unban", "adjust", "quarantine", "void", "grant", "adjust out_of_range"]);
    assert!(entries.iter().all(|(actor, _)| actor.starts_with("cli:") && actor.ends_with(" as mary")));
}

#[tokio::test]
async fn a_ban_disconnects_socketio_clients_and_keeps_them_out() {
    let stores = TestStores::new().await;
    let nodes = [stores.start_node().await, stores.start_node().await];
    let ada = nodes[0].register("ada").await;
    let mut peers = [Peer::join(&nodes[0], &ada).await, Peer::join(&nodes[1], &ada).await];
    succeed(&stores, "admin ban ada --reason cheating").await;
    for peer in &mut peers {
        let mut last = None;
        while let Some(text) = peer.receive().await {
            last = Some(text);
        }
        assert_eq!(last.as_deref(), Some("41"), "the last packet must be a disconnect");
    }
    let mut late = Peer::open(&nodes[1]).await;
    late.send(&format!("40{{\"token\":\"{}\"}}", ada.token)).await;
    let refused = late.receive().await.unwrap();
    let error: Value = serde_json::from_str(refused.strip_prefix("44").unwrap()).unwrap();
    assert_eq!(
        (&error["message"], &error["data"]["code"]),
        (&"Authentication failed".into(), &"FORBIDDEN".into())
    );
}

#[tokio::test]
async fn interrupted_decisions_are_completed() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let ada = node.register("ada").await;
    node.award(&ada, "watch_ad").await;
    succeed(&stores, "admin quarantine ada --reason odd").await;
    node.award(&ada, "complete_level").await;
    node.wait_for_ledger().await;
    // The state after a node was killed between Postgres and Redis.
    let sql = "UPDATE users SET voids_id = gen_random_uuid(), restricted_at = now() WHERE username = 'ada'";
    sqlx::query(sql).execute(&node.app.database).await.unwrap();
    eventually("the held points to be gone", async || {
        let totals = node.app.store.totals(&[ada.identity.user]).await.unwrap()[0];
        (totals.own == Some(10)).then_some(())
    })
    .await;
    assert_ledger_matches(&stores).await;
    let sql = "WITH banned AS (UPDATE users SET banned_at = now(), restricted_at = now() WHERE username = 'ada' RETURNING id)
               INSERT INTO board_corrections (user_id, action, actor, reason) SELECT id, 'ban', 'test', 'odd' FROM banned";
    sqlx::query(sql).execute(&node.app.database).await.unwrap();
    wait_for_board(&node, "the ban", &[]).await;
    assert_ledger_matches(&stores).await;
}

#[tokio::test]
async fn an_approval_while_the_board_is_closed_survives_a_rebuild() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let ada = node.register("ada").await;
    succeed(&stores, "admin quarantine ada --reason odd").await;
    node.award(&ada, "complete_level").await;
    node.wait_for_ledger().await;
    let mut redis_client = stores.redis_client().await;
    let sql = "UPDATE users SET quarantined_at = NULL, restricted_at = now() WHERE username = 'ada'";
    node.app.store.close_board().await.unwrap();
    sqlx::query(sql).execute(&node.app.database).await.unwrap();
    let _: () = redis_client.query("FLUSHALL").await;
    wait_for_board(&node, "the held points to be shown", &[("ada", 20)]).await;
    assert_ledger_matches(&stores).await;
    laurel::ledger::rebuild(&node.app.ledger, |_| ()).await.unwrap();
    wait_for_board(&node, "the same board after a rebuild", &[("ada", 20)]).await;
    assert_ledger_matches(&stores).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_listed_retried_and_discarded() {
    let stores = TestStores::with_shards(1).await;
    let node = stores.start_node().await;
    let unknown_user = crate::scripts::user(99);
    crate::scripts::award(&node.app.store, unknown_user, 10).await;
    node.wait_for_ledger().await;
    let listed = succeed(&stores, "admin dead-letters list").await;
    assert!(listed.contains("awarded +10 points") && listed.contains("2 dead letters"), "{listed}");
    let letter = listed.split(' ').next().unwrap();
    let retried = succeed(&stores, &format!("admin dead-letters retry {letter}")).await;
    assert!(retried.contains("unknown_user") && retried.contains(" as mary: tried again"), "{retried}");
    eventually("the ban to reach Redis", async || {
        node.app.store.is_banned(unknown_user).await.ok()?.then_some(())
    })
    .await;
    let output = run(&stores, &format!("admin ban {unknown_user} --reason cheating")).await;
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(!output.status.success());
    assert!(printed.contains("is banned in Redis and gets no awards; 2 dead letters wait"), "{printed}");
    assert!(fail(&stores, "admin dead-letters discard 1").await.contains("--reason"));
    for letter in [1, 2] {
        succeed(&stores, &format!("admin dead-letters discard {letter} --reason gone")).await;
    }
    assert!(succeed(&stores, "admin dead-letters list").await.contains("0 dead letters"));
    assert!(succeed(&stores, "admin dead-letters list --all").await.contains(" as mary: gone"));
    let verified = succeed(&stores, "verify").await;
    assert!(verified.contains(" 0 mismatches"), "{verified}");
}
