//! A load on two nodes that produces every metric: awards, refusals and failures.

use serde_json::{Value, json};

use crate::action::webhook::Backend;
use crate::harness::{Player, TestNode, TestPostgres, TestStores, eventually};
use crate::live::clients::{ALL, Protocol, Subscriber};

/// Two nodes with the built-in catalogue and two webhooks, one of them broken.
pub async fn nodes(stores: &TestStores, backend: &Backend) -> [TestNode; 2] {
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
    let node = || {
        stores.start_node_with(|it| {
            it.actions.file = file.to_str().unwrap().to_owned();
            it.tokens.action_interval_seconds = 0;
            it.limits.logins_per_minute = 3;
            it.limits.sockets_per_user = 1;
            it.live.write_timeout_ms = 600_000;
        })
    };
    [node().await, node().await]
}

/// A short outage of each store that the node notices.
pub async fn outages(stores: &mut TestStores, postgres: &mut TestPostgres, node: &TestNode) {
    let ada = node.register("ada").await;
    let proven = node.post("/api/v1/action-tokens", &ada.token, &json!({ "actionType": "watch_ad" })).await;
    let redeem = json!({ "actionToken": proven.body["actionToken"] });
    let login = json!({ "username": "ada", "password": "correct horse" });
    let failed = async |path: &str, body: &Value, operation: &str| {
        eventually(operation, async || {
            node.post(path, &ada.token, body).await;
            let text = node.get("/metrics").await.text;
            text.contains(&format!("_count{{operation=\"{operation}\",result=\"error\"}}")).then_some(())
        })
        .await;
    };
    postgres.stop().await;
    failed("/api/auth/login", &login, "find_user_by_name").await;
    postgres.restart().await;
    stores.redis.kill().await;
    failed("/api/v1/scores", &redeem, "read_token").await;
    eventually("a script to fail", async || {
        let text = node.get("/metrics").await.text;
        text.contains("laurel_redis_script_duration_seconds_count{result=\"error\"").then_some(())
    })
    .await;
    stores.redis.restart().await;
    eventually("awards to be taken again", async || {
        (node.get("/readyz/awards").await.status == 200).then_some(())
    })
    .await;
}

/// Subscribers of every protocol, one that is refused by the limit per user, and one that sends an invalid frame.
pub async fn listen(node: &TestNode, players: &[Player]) {
    for (protocol, player) in ALL.into_iter().zip(players) {
        let mut subscriber = Subscriber::open(&node.base, protocol, &player.token).await;
        tokio::spawn(async move { while subscriber.receive().await.is_some() {} });
    }
    assert!(Subscriber::try_open(&node.base, Protocol::WebSocket, &players[0].token, None).await.is_none());
    let mut rude = Subscriber::open(&node.base, Protocol::WebSocket, &players[ALL.len()].token).await;
    rude.send_raw(&[0x81, 1, b'x']).await;
    rude.rest().await;
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
    let proven = node.post("/api/v1/action-tokens", &player.token, &prove).await;
    let redeem = json!({ "actionToken": proven.body["actionToken"] });
    assert_eq!(node.post("/api/v1/scores", &player.token, &redeem).await.status, 200);
    let started = node.post("/api/game/start", &player.token, &json!({})).await;
    let token = &started.body["data"]["actionToken"];
    let update = json!({ "actionToken": token, "actionType": "watch_ad", "points": 10 });
    assert_eq!(node.post("/api/score/update", &player.token, &update).await.status, 200);
    node.board().await;
    let subscriber = Subscriber::open(&node.base, Protocol::ServerSentEvents, &player.token).await;
    drop(subscriber);

    let guess = json!({ "loot": 8 });
    let token = node.issue_token(player, "raid").await;
    node.finalize(player, &token, guess).await.assert_refused(422, "PROOF_INVALID");
    let token = node.issue_token(player, "lost_raid").await;
    node.finalize(player, &token, json!({ "loot": 7 })).await.assert_refused(503, "SERVICE_UNAVAILABLE");
    node.finalize(player, "forged", Value::Null).await.assert_refused(401, "INVALID_TOKEN");
    let login = json!({ "username": "mallory", "password": "a guess of mallory's" });
    let refused = node.post("/api/auth/login", "", &login).await;
    assert!([401, 429].contains(&refused.status), "{}", refused.text);
}
