//! A load on two nodes that produces every metric, by awards, refusals and failures.

use serde_json::{Value, json};

use crate::action::webhook::Backend;
use crate::harness::{Player, TestNode, TestPostgres, TestStores, eventually};
use crate::live::clients::{ALL, Protocol, Subscriber};

/// Starts two nodes with the built-in catalogue and two webhooks. One webhook is broken.
pub async fn start_nodes(stores: &TestStores, backend: &Backend) -> [TestNode; 2] {
    let webhook = |name: &str, number: u32, path: &str| {
        format!(
            "[[action]]\ntype = \"{name}\"\nnumber = {number}\npoints = 10\nproof = {{ kind = \"webhook\", \
             url = \"{}/{path}\", secret = \"whsec_{}\", timeout_ms = 5000 }}\n",
            backend.base,
            "A".repeat(32)
        )
    };
    let shipped = include_str!("../../src/action/actions.toml");
    let file = stores.folder.path().join("actions.toml");
    let raids = [webhook("raid", 900, "loot"), webhook("lost_raid", 901, "nowhere")];
    std::fs::write(&file, format!("{}\n{shipped}", raids.concat())).unwrap();
    let start = || {
        stores.start_node_with(|config| {
            config.actions.file = file.to_str().unwrap().to_owned();
            config.tokens.action_interval_seconds = 0;
            config.limits.logins_per_minute = 3;
            config.limits.sockets_per_user = 1;
            config.live.write_timeout_ms = 600_000;
        })
    };
    [start().await, start().await]
}

/// Stops each store until a request fails, and restarts it.
pub async fn cause_outages(stores: &mut TestStores, postgres: &mut TestPostgres, node: &TestNode) {
    let ada = node.register("ada").await;
    let verified = node.post("/api/v1/action-tokens", &ada.token, &json!({ "actionType": "watch_ad" })).await;
    let redeem = json!({ "actionToken": verified.body["actionToken"] });
    let login = json!({ "username": "ada", "password": "correct horse" });
    let wait_for_failure = async |path: &str, body: &Value, operation: &str| {
        eventually(operation, async || {
            node.post(path, &ada.token, body).await;
            let text = node.get("/metrics").await.text;
            text.contains(&format!("_count{{operation=\"{operation}\",result=\"error\"}}")).then_some(())
        })
        .await;
    };
    postgres.stop().await;
    wait_for_failure("/api/auth/login", &login, "find_user_by_name").await;
    postgres.restart().await;
    stores.redis.kill().await;
    wait_for_failure("/api/v1/scores", &redeem, "read_token").await;
    eventually("a script to fail", async || {
        let text = node.get("/metrics").await.text;
        text.contains("laurel_redis_script_duration_seconds_count{result=\"error\"").then_some(())
    })
    .await;
    stores.redis.restart().await;
    eventually("awards to be accepted again", async || {
        (node.get("/readyz/awards").await.status == 200).then_some(())
    })
    .await;
}

/// Opens a subscriber of every protocol, one that the limit per user refuses, and one that sends an invalid frame.
pub async fn open_subscribers(node: &TestNode, players: &[Player]) {
    for (protocol, player) in ALL.into_iter().zip(players) {
        let mut subscriber = Subscriber::open_boards(&node.base, protocol, &player.token, &["weekly"]).await;
        tokio::spawn(async move { while subscriber.receive().await.is_some() {} });
    }
    assert!(Subscriber::try_open(&node.base, Protocol::WebSocket, &players[0].token, None).await.is_none());
    let mut invalid = Subscriber::open(&node.base, Protocol::WebSocket, &players[ALL.len()].token).await;
    invalid.send_raw(&[0x81, 1, b'x']).await;
    invalid.rest().await;
}

/// Plays until the test ends.
pub async fn play_forever(node: &TestNode, player: &Player) {
    loop {
        play(node, player).await;
    }
}

async fn play(node: &TestNode, player: &Player) {
    node.award(player, "watch_ad").await;
    let prove = json!({ "actionType": "raid", "proof": { "loot": 7 } });
    let verified = node.post("/api/v1/action-tokens", &player.token, &prove).await;
    let redeem = json!({ "actionToken": verified.body["actionToken"] });
    assert_eq!(node.post("/api/v1/scores", &player.token, &redeem).await.status, 200);
    let game = node.post("/api/game/start", &player.token, &json!({})).await;
    let token = &game.body["data"]["actionToken"];
    let update = json!({ "actionToken": token, "actionType": "watch_ad", "points": 10 });
    assert_eq!(node.post("/api/score/update", &player.token, &update).await.status, 200);
    node.board().await;
    let subscriber = Subscriber::open(&node.base, Protocol::ServerSentEvents, &player.token).await;
    drop(subscriber);

    let wrong = json!({ "loot": 8 });
    let token = node.issue_token(player, "raid").await;
    node.finalize(player, &token, wrong).await.assert_refused(422, "PROOF_INVALID");
    let token = node.issue_token(player, "lost_raid").await;
    node.finalize(player, &token, json!({ "loot": 7 })).await.assert_refused(503, "SERVICE_UNAVAILABLE");
    node.finalize(player, "forged", Value::Null).await.assert_refused(401, "INVALID_TOKEN");
    let login = json!({ "username": "mallory", "password": "the password of mallory" });
    let refused = node.post("/api/auth/login", "", &login).await;
    assert!([401, 429].contains(&refused.status), "{}", refused.text);
}
