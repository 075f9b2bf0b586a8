//! Socket.IO 5: what Laurel says over it, packet by packet.

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use super::clients::{Listener, Protocol};
use crate::harness::{Player, Provider, TestNode, World, rows};

pub struct Peer(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Peer {
    pub async fn open(node: &TestNode) -> Self {
        let url = format!("{}/socket.io/?EIO=4&transport=websocket", node.base.replacen("http", "ws", 1));
        let mut peer = Self(connect_async(url).await.unwrap().0);
        assert!(peer.hear().await.unwrap().starts_with("0{"));
        peer
    }

    /// Joined, and greeted.
    pub async fn join(node: &TestNode, player: &Player) -> Self {
        let mut peer = Self::open(node).await;
        peer.say(&format!("40{}", json!({ "token": format!("Bearer {}", player.token) }))).await;
        assert!(peer.hear().await.unwrap().starts_with("40{\"sid\""));
        peer
    }

    pub async fn say(&mut self, text: &str) {
        self.0.send(Frame::text(text.to_owned())).await.unwrap();
    }

    pub async fn hear(&mut self) -> Option<String> {
        loop {
            match self.0.next().await? {
                Ok(Frame::Text(text)) if text.as_str() == "2" => self.say("3").await,
                Ok(Frame::Text(text)) => return Some(text.to_string()),
                Ok(Frame::Close(_)) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// The next event of this name.
    async fn wait_for(&mut self, name: &str) -> Value {
        loop {
            let text = self.hear().await.expect("the socket ended");
            let event: Value = serde_json::from_str(text.strip_prefix("42").unwrap()).unwrap();
            if event[0] == name {
                return event[1].clone();
            }
        }
    }
}

#[tokio::test]
async fn a_player_is_greeted_and_told_board_and_news_on_any_node() {
    let world = World::new().await;
    let (one, two) = (world.node().await, world.node().await);
    let ada = one.register("ada").await;
    let mut peer = Peer::join(&two, &ada).await;
    let greeting = peer.wait_for("connect_success").await;
    assert_eq!(greeting, json!({ "message": "Connected successfully", "userId": 1, "username": "ada" }));
    let board = peer.wait_for("scoreboard:update").await;
    assert_eq!(board["top10"], json!([]));
    crate::harness::eventually("the node to follow the player", async || {
        let channel = format!("personal:{}", ada.identity.user);
        let (_, count): (String, u64) = world.look().await.ask(&format!("PUBSUB NUMSUB {channel}")).await;
        (count == 1).then_some(())
    })
    .await;
    one.award(&ada, "watch_ad").await;
    let mut told = [None, None];
    while told.iter().any(Option::is_none) {
        let text = peer.hear().await.unwrap();
        let event: Value = serde_json::from_str(text.strip_prefix("42").unwrap()).unwrap();
        told[usize::from(event[0] == "score:personal")] = Some(event[1].clone());
    }
    let [board, news] = told.map(Option::unwrap);
    assert_eq!(rows(&board["top10"]), [("ada".to_owned(), 10, 1)]);
    assert_eq!(board["top10"][0]["userId"], 1);
    assert!(board["timestamp"].as_str().unwrap().ends_with('Z'));
    let wanted = json!({ "userId": 1, "score": 10, "rank": 1, "pointsEarned": 10, "previousRank": null });
    assert_eq!(news, wanted);
}

#[tokio::test]
async fn a_bad_login_is_a_connect_error_with_its_code() {
    let world = World::new().await;
    let node = world.node().await;
    let ada = node.register("ada").await;
    let mut peer = Peer::open(&node).await;
    for auth in ["", "{}", "{\"token\":7}", "{\"token\":\"nonsense\"}", "{\"token\":\"Bearer \"}"] {
        peer.say(&format!("40{auth}")).await;
        let refused = "44{\"message\":\"Authentication failed\",\"data\":{\"code\":\"INVALID_TOKEN\"}}";
        assert_eq!(peer.hear().await.unwrap(), refused, "{auth}");
    }
    peer.say("40/admin,").await;
    assert_eq!(peer.hear().await.unwrap(), "44/admin,{\"message\":\"Invalid namespace\"}");
    // The login without `Bearer ` is good too, and the connection still takes it.
    peer.say(&format!("40{}", json!({ "token": ada.token }))).await;
    assert!(peer.hear().await.unwrap().starts_with("40{"));
    peer.say("42[\"anything\",1]").await;
    peer.say("41").await;
    while peer.hear().await.is_some() {}
}

#[tokio::test]
async fn what_the_protocol_does_not_allow_ends_the_connection() {
    let world = World::new().await;
    let node = world.node().await;
    let ada = node.register("ada").await;
    for bad in ["4abc", "42{}", "42abc[\"x\"]", "451-[\"x\"]\u{0}", "48", "x"] {
        let mut peer = Peer::join(&node, &ada).await;
        peer.say(bad).await;
        while peer.hear().await.is_some() {}
    }
    let mut peer = Peer::open(&node).await;
    peer.say("42[\"message\"]").await;
    assert_eq!(peer.hear().await, None, "an event before the login");
}

#[tokio::test]
async fn a_login_that_runs_out_is_disconnected_and_a_stopping_node_only_closes() {
    let world = World::new().await;
    let node = world.node().await;
    let ada = node.register("ada").await;
    world.clock.shift(86_385_000);
    let mut peer = Peer::join(&node, &ada).await;
    let mut last = String::new();
    while let Some(text) = peer.hear().await {
        last = text;
    }
    assert_eq!(last, "41", "the client must not come back by itself");
    world.clock.shift(-86_385_000);
    let mut peer = Peer::join(&node, &ada).await;
    peer.wait_for("scoreboard:update").await;
    let stopping = tokio::spawn(node.stop());
    assert_eq!(peer.hear().await, None, "the client comes back by itself");
    stopping.await.unwrap();
}

#[tokio::test]
async fn a_client_that_is_between_two_polls_is_told_that_it_is_banned() {
    let world = World::new().await;
    let node = world.node().await;
    let ada = node.register("ada").await;
    let mut line = Listener::open(&node.base, Protocol::Polling, &ada.token).await;
    line.wait_for("leaderboard_updated").await;
    let sockets = || node.app.metrics.sockets.with_label_values(&["socketio"]).get();
    assert_eq!(sockets(), 1);
    node.app.fanout.ban(ada.identity.user);
    crate::harness::eventually("the seat to come back", async || (sockets() == 0).then_some(())).await;
    let told: Vec<_> = line.rest().await.into_iter().map(|it| it.name).collect();
    assert_eq!(told, ["disconnect"], "the client must not come back by itself");
}

#[tokio::test]
async fn an_outside_user_joins_and_one_that_cannot_be_looked_up_is_not_refused() {
    let world = World::new().await;
    let provider = Provider::new(laurel::keys::Algorithm::EdDSA);
    let node = provider.node(&world).await;
    let ada = provider.player(&world, &node, "ada").await;
    let mut peer = Peer::join(&node, &ada).await;
    assert_eq!(peer.wait_for("connect_success").await["username"], "ada");
    node.award(&ada, "watch_ad").await;
    assert_eq!(peer.wait_for("score:personal").await["score"], 10);

    let mut claims = provider.claims(&world, "new");
    let new = provider.signer.sign(&claims);
    claims["aud"] = "another".into();
    let mut peer = Peer::open(&node).await;
    peer.say(&format!("40{}", json!({ "token": provider.signer.sign(&claims) }))).await;
    assert!(peer.hear().await.unwrap().starts_with("44{\"message\":\"Authentication failed\""));
    node.app.database.close().await;
    peer.say(&format!("40{}", json!({ "token": new }))).await;
    assert_eq!(peer.hear().await, None, "the client comes back by itself");
}

#[tokio::test]
async fn a_foreign_origin_and_an_unready_node_are_refused_before_the_handshake() {
    let world = World::new().await;
    let node = world.node_with(|it| it.server.cors_origins = vec!["https://game.example".into()]).await;
    let path = "/socket.io/?EIO=4&transport=polling";
    let ask =
        async |origin: &str| node.send(reqwest::Method::GET, path, &[("origin", origin)], Vec::new()).await;
    ask("https://evil.example").await.assert_refused(403, "FORBIDDEN");
    assert_eq!(ask("https://game.example").await.status, 200);
    node.app.health.drain();
    let refused = ask("https://game.example").await;
    refused.assert_refused(503, "SERVICE_UNAVAILABLE");
}

#[tokio::test]
async fn a_quiet_poll_may_last_longer_than_a_request() {
    let world = World::new().await;
    let change = |it: &mut laurel::config::Config| {
        it.server.request_timeout_ms = 300;
        it.live.ping_seconds = 1;
    };
    let node = world.node_with(change).await;
    let path = "/socket.io/?EIO=4&transport=polling";
    let opened = node.get(path).await.text;
    let greeting: Value = serde_json::from_str(opened.strip_prefix('0').unwrap()).unwrap();
    let poll = node.get(&format!("{path}&sid={}", greeting["sid"].as_str().unwrap())).await;
    assert_eq!((poll.status, poll.text.as_str()), (200, "2"));
}
