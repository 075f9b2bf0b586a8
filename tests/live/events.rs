//! `/api/v1/leaderboard/stream`: server-sent events.

use reqwest::Method;
use serde_json::json;

use super::clients::events::Events;
use super::clients::{Protocol, Subscriber, soon};
use super::{ban, wait_until_followed};
use crate::harness::{Player, TestNode, TestStores, eventually, rows};

const PATH: &str = "/api/v1/leaderboard/stream";

async fn open_stream(node: &TestNode, token: &str) -> Subscriber {
    Subscriber::open(&node.base, Protocol::ServerSentEvents, token).await
}

/// The number of open streams.
fn open_streams(node: &TestNode) -> i64 {
    node.app.metrics.sockets.with_label_values(&["events"]).get()
}

#[tokio::test]
async fn the_stream_needs_no_login() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let ada = node.register("ada").await;
    node.award(&ada, "watch_ad").await;
    eventually("the board to be published", async || {
        (!node.app.hub.follow_board().borrow().board.rows.is_empty()).then_some(())
    })
    .await;
    let mut reader = open_stream(&node, "").await;
    let greeting = reader.next().await.unwrap();
    assert_eq!(greeting.name, "connect_success");
    assert_eq!(greeting.data, json!({ "message": "Connected successfully" }), "no user");
    let board = reader.next().await.unwrap();
    assert_eq!(board.name, "leaderboard_updated");
    let row = json!({ "userId": ada.identity.user, "username": "ada", "score": 10, "rank": 1 });
    assert_eq!(board.data, json!([row]));
    for score in [20, 30, 40] {
        node.award(&ada, "watch_ad").await;
        let event = reader.next().await.unwrap();
        assert_eq!(
            (event.name.as_str(), rows(&event.data)),
            ("leaderboard_updated", vec![("ada".into(), score, 1)])
        );
    }
}

#[tokio::test]
async fn a_login_in_the_header_or_the_query_adds_personal_updates() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let ada = node.register("ada").await;
    let header = format!("Authorization: Bearer {}\r\n", ada.token);
    let query = format!("?access_token={}", ada.token);
    let mut readers = [
        Events::open_with(&node.base, "", &header, None).await.unwrap(),
        Events::open_with(&node.base, &query, "", None).await.unwrap(),
    ];
    let mut spectator = open_stream(&node, "").await;
    wait_until_followed(&stores, &ada, 1).await;
    node.award(&ada, "watch_ad").await;
    for reader in &mut readers {
        assert!(reader.head.contains("\r\ncontent-type: text/event-stream\r\n"), "{}", reader.head);
        assert!(reader.head.contains("\r\ncache-control: no-store\r\n"), "{}", reader.head);
        let greeting = reader.receive().await.unwrap();
        assert_eq!(greeting["data"]["userId"], json!(ada.identity.user));
        assert_eq!(greeting["data"]["username"], "ada");
        let update = loop {
            let event = reader.receive().await.unwrap();
            if event["event"] == "score_personal" {
                break event;
            }
        };
        assert_eq!((&update["data"]["score"], &update["data"]["rank"]), (&json!(10), &json!(1)));
    }
    // The stream without a login gets the boards only.
    for score in [10, 20] {
        let event = loop {
            let event = spectator.next().await.unwrap();
            assert_ne!(event.name, "score_personal");
            if event.name == "leaderboard_updated" && !rows(&event.data).is_empty() {
                break event;
            }
        };
        assert_eq!(rows(&event.data), [("ada".to_owned(), score, 1)]);
        node.award(&ada, "watch_ad").await;
    }
}

#[tokio::test]
async fn a_refused_client_gets_no_stream() {
    let stores = TestStores::new().await;
    let node = stores
        .start_node_with(|config| config.server.cors_origins = vec!["https://game.example".into()])
        .await;
    let (ada, eve) = (node.register("ada").await, node.register("eve").await);
    ban(&node, &eve).await;
    let get = async |headers: &[(&str, &str)]| {
        soon("a complete response", node.send(Method::GET, PATH, headers, Vec::new())).await
    };
    get(&[("authorization", "Bearer forged")]).await.assert_refused(401, "INVALID_TOKEN");
    node.get(&format!("{PATH}?access_token=forged")).await.assert_refused(401, "INVALID_TOKEN");
    let banned = format!("Bearer {}", eve.token);
    get(&[("authorization", &banned)]).await.assert_refused(403, "FORBIDDEN");
    get(&[("origin", "https://evil.example")]).await.assert_refused(403, "FORBIDDEN");
    let headers = format!("Authorization: Bearer {}\r\nOrigin: https://game.example\r\n", ada.token);
    let reader = Events::open_with(&node.base, "", &headers, None).await.unwrap();
    let allowed = "\r\naccess-control-allow-origin: https://game.example\r\n";
    assert!(reader.head.contains(allowed) && reader.head.contains("\r\nvary: origin\r\n"), "{}", reader.head);
    let reader = Events::open_with(&node.base, "", "", None).await.unwrap();
    assert!(!reader.head.contains("access-control-allow-origin"), "the request has no origin");
}

#[tokio::test]
async fn a_private_stream_needs_a_login() {
    let stores = TestStores::new().await;
    let node = stores.start_node_with(|config| config.live.public_stream = false).await;
    let ada = node.register("ada").await;
    node.get(PATH).await.assert_refused(401, "UNAUTHORIZED");
    let reader =
        Events::open_with(&node.base, "", &format!("Authorization: Bearer {}\r\n", ada.token), None).await;
    assert!(reader.unwrap().head.contains("text/event-stream"));
}

#[tokio::test]
async fn connection_limits_count_streams() {
    let stores = TestStores::new().await;
    let node = stores
        .start_node_with(|config| {
            config.limits.sockets_per_user = 1;
            config.limits.sockets_per_ip = 2;
        })
        .await;
    let (ada, eve) = (node.register("ada").await, node.register("eve").await);
    let get = async |player: &Player| {
        let bearer = format!("Bearer {}", player.token);
        soon("a complete response", node.send(Method::GET, PATH, &[("authorization", &bearer)], Vec::new()))
            .await
    };
    let mut stream = open_stream(&node, &ada.token).await;
    stream.wait_for("connect_success").await;
    let refused = get(&ada).await;
    refused.assert_refused(429, "RATE_LIMIT_EXCEEDED");
    assert!(refused.header("retry-after").parse::<u64>().unwrap() > 0);
    let spectator = open_stream(&node, "").await;
    get(&eve).await.assert_refused(429, "RATE_LIMIT_EXCEEDED");
    assert_eq!(open_streams(&node), 2);
    drop((stream, spectator));
    eventually("both permits to be released", async || {
        let one = Subscriber::try_open(&node.base, Protocol::ServerSentEvents, &ada.token, None).await?;
        let two = Subscriber::try_open(&node.base, Protocol::ServerSentEvents, "", None).await?;
        Some((one, two))
    })
    .await;
}

#[tokio::test]
async fn a_ban_an_expired_login_and_a_drain_end_a_stream() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let (ada, eve) = (node.register("ada").await, node.register("eve").await);
    let mut banned = open_stream(&node, &eve.token).await;
    wait_until_followed(&stores, &eve, 1).await;
    ban(&node, &eve).await;
    let last = banned.rest().await.pop().unwrap();
    assert_eq!((last.name.as_str(), last.data), ("retry", json!(60_000)), "the client should wait a minute");

    // The login expires in 15 s, which is enough to open a stream on a busy machine.
    stores.clock.shift(86_385_000);
    let last = open_stream(&node, &ada.token).await.rest().await.pop().unwrap();
    assert_eq!((last.name.as_str(), last.data), ("retry", json!(60_000)));
    stores.clock.shift(-86_385_000);

    let (mut player, mut spectator) = (open_stream(&node, &ada.token).await, open_stream(&node, "").await);
    player.wait_for("leaderboard_updated").await;
    spectator.wait_for("leaderboard_updated").await;
    assert_eq!(open_streams(&node), 2);
    let app = node.app.clone();
    let stopping = tokio::spawn(node.stop());
    for reader in [&mut player, &mut spectator] {
        let last = reader.rest().await.pop().unwrap();
        assert_eq!(last.name, "retry");
        assert!(last.data.as_u64().unwrap() < 2000, "{last:?}");
    }
    stopping.await.unwrap();
    assert_eq!(app.metrics.sockets.with_label_values(&["events"]).get(), 0);
}

#[tokio::test]
async fn a_stream_gets_one_status_event_per_redis_outage() {
    let mut stores = TestStores::new().await;
    let node = stores.start_node().await;
    let ada = node.register("ada").await;
    node.award(&ada, "watch_ad").await;
    let mut reader = open_stream(&node, "").await;
    reader.wait_for_board(&[("ada".to_owned(), 10, 1)]).await;
    stores.redis.kill().await;
    let event = reader.next().await.unwrap();
    assert_eq!((event.name.as_str(), &event.data["degraded"]), ("status", &json!(true)));
    assert!(event.data["asOf"].as_str().unwrap().ends_with('Z'));
    // A client that connects during the outage gets it too.
    let mut late = open_stream(&node, "").await;
    late.wait_for_board(&[("ada".to_owned(), 10, 1)]).await;
    assert_eq!(late.next().await.unwrap().data["degraded"], true);
    stores.redis.restart().await;
    for reader in [&mut reader, &mut late] {
        assert_eq!(reader.wait_for("status").await.data["degraded"], false);
    }
}

/// An `EventSource` passes named events to listeners only, never to `onmessage`.
#[test]
fn the_documents_explain_how_to_receive_named_events() {
    let documents = [laurel::http::openapi().to_string(), laurel::http::asyncapi().to_string()];
    for text in documents.iter().map(String::as_str).chain([include_str!("../../docs/realtime.md")]) {
        assert!(
            text.contains("addEventListener('leaderboard_updated'") && text.contains("`onmessage` never")
        );
    }
}
