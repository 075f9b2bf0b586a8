//! Boards that clients subscribe to by name.

use reqwest::Method;
use serde_json::{Value, json};

use super::clients::{ALL, Protocol, Subscriber};
use crate::harness::{Player, TestNode, TestStores, eventually};
use crate::http::admin::create_admin;
use crate::scripts::clock::set_clock;

const BOARDS: &str = "
[[board]]
id = \"weekly\"
period = \"week\"
split_by = \"country\"

[[board]]
id = \"rounds\"
measure = \"count\"

[[board]]
id = \"players\"
visibility = \"players\"

[[board]]
id = \"staff\"
visibility = \"admins\"
";

async fn start_node(stores: &TestStores) -> TestNode {
    let file = stores.write_boards(BOARDS);
    stores.start_node_with(|config| config.boards.file = file).await
}

/// Waits until this many nodes are subscribed to a board's channel.
async fn wait_for_nodes(stores: &TestStores, board: &str, nodes: u64) {
    eventually("the nodes to follow the board", async || {
        let command = format!("PUBSUB NUMSUB entries:{board}");
        let (_, count): (String, u64) = stores.redis_client().await.query(&command).await;
        (count == nodes).then_some(())
    })
    .await;
}

/// The entry of the player in the next personal event of a board.
async fn own_entry(client: &mut Subscriber, board: &str) -> Value {
    loop {
        let data = client.wait_for("board_personal").await.data;
        if data["board"] == board {
            return data;
        }
    }
}

async fn check_that_boards_reach_every_client(stores: TestStores) {
    let (one, two) = (start_node(&stores).await, start_node(&stores).await);
    let (ada, bob) = (one.register("ada").await, one.register("bob").await);
    one.wait_for_boards().await;
    let boards = ["weekly", "rounds", "global", "weekly@DE"];
    let mut clients = Vec::new();
    for (index, protocol) in ALL.into_iter().enumerate() {
        let node = if index % 2 == 0 { &one } else { &two };
        clients.push(Subscriber::open_boards(&node.base, protocol, &ada.token, &boards).await);
    }
    let mut first = Vec::new();
    for client in &mut clients {
        let mut missing = boards.to_vec();
        while !missing.is_empty() {
            let data = client.wait_for("board_updated").await.data;
            assert_eq!(data["entries"], json!([]));
            missing.retain(|board| data["board"] != *board);
            first.push(data);
        }
    }
    one.award(&ada, "watch_ad").await;
    let weekly = first.iter().find(|data| data["board"] == "weekly").unwrap();
    for client in &mut clients {
        let data = client.wait_for_entries("weekly", &[("ada", 10, 1)]).await;
        assert!(data["version"].as_i64() > weekly["version"].as_i64() && data["period"] == weekly["period"]);
        let entry = &data["entries"][0];
        assert_eq!((&entry["userId"], &entry["position"]), (&json!(ada.identity.user), &json!(1)));
        assert!(entry["achievedAt"].is_string() && data["timestamp"].is_string());
        let own = own_entry(client, "weekly").await;
        let expected =
            json!({ "board": "weekly", "period": data["period"], "rank": 1, "position": 1, "score": 10 });
        assert_eq!(own, expected, "{:?}", client.protocol());
    }
    // Somebody else's award: every protocol gets all of its boards.
    two.award(&bob, "watch_ad").await;
    let both = [("ada", 1, 1), ("bob", 1, 1)];
    for client in &mut clients {
        client.wait_for_entries("rounds", &both).await;
    }
    two.award(&bob, "watch_ad").await;
    for client in &mut clients {
        client.wait_for_entries("global", &[("bob", 20, 1), ("ada", 10, 2)]).await;
    }
    // Lost subscriptions, and an award whose announcement no node received.
    let _: u64 = stores.redis_client().await.query("CLIENT KILL TYPE pubsub").await;
    one.award(&ada, "watch_ad").await;
    for client in &mut clients {
        client.wait_for_entries("weekly", &[("bob", 20, 1), ("ada", 20, 1)]).await;
    }
    // No older board on another node.
    let client = &mut clients[0];
    assert!(client.reopen(&two.base, &ada.token).await);
    client.request("subscribe", json!({ "boards": ["weekly"] })).await;
    let weekly = client.wait_for("board_updated").await.data;
    assert_eq!(weekly["entries"].as_array().unwrap().len(), 2);
    // A node follows what somebody watches.
    wait_for_nodes(&stores, "weekly", 2).await;
    drop(clients);
    wait_for_nodes(&stores, "weekly", 0).await;
    eventually("no subscriber to be counted", async || {
        (one.metric("laurel_board_subscribers", "weekly") == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn boards_reach_every_client_of_every_node() {
    check_that_boards_reach_every_client(TestStores::with_shards(1).await).await;
}

#[tokio::test]
async fn boards_reach_every_client_of_a_cluster() {
    check_that_boards_reach_every_client(TestStores::on_cluster(8).await).await;
}

async fn connect(node: &TestNode, protocol: Protocol, player: &Player) -> Subscriber {
    let mut client = Subscriber::open(&node.base, protocol, &player.token).await;
    client.wait_for("connect_success").await;
    client
}

#[tokio::test]
async fn requests_for_boards_are_answered_one_by_one() {
    let stores = TestStores::new().await;
    let file = stores.write_boards(BOARDS);
    let node = stores
        .start_node_with(|config| {
            config.boards.file = file;
            config.live.max_split_boards = 6;
        })
        .await;
    let ada = node.register("ada").await;
    let refusal = |board: &str, code: &str| json!({ "board": board, "code": code });
    let (invalid, unknown) = ("VALIDATION_ERROR", "BOARD_NOT_FOUND");
    let many: Vec<String> = (0..10).map(|index| format!("weekly@{index}")).collect();
    let long = "x".repeat(500);
    for protocol in [Protocol::WebSocket, Protocol::SocketIo, Protocol::SocketIoPolling] {
        let mut client = connect(&node, protocol, &ada).await;
        for (event, data, accepted, refused) in [
            ("subscribe", json!(null), json!([]), json!([refusal("", invalid)])),
            ("subscribe", json!(["weekly"]), json!([]), json!([refusal("", invalid)])),
            ("subscribe", json!({ "boards": "weekly" }), json!([]), json!([refusal("", invalid)])),
            ("subscribe", json!({ "boards": vec!["a"; 65] }), json!([]), json!([refusal("", invalid)])),
            ("subscribe", json!({ "boards": [] }), json!([]), json!([])),
            (
                "subscribe",
                json!({ "boards": ["nope", "staff", "rounds@DE", "", long, 7, {}, "rounds", "players", "rounds"] }),
                json!(["rounds", "players", "rounds"]),
                json!([
                    refusal("nope", unknown),
                    refusal("staff", unknown),
                    refusal("rounds@DE", unknown),
                    refusal("", unknown),
                    refusal(&long, unknown),
                    refusal("7", invalid),
                    refusal("{}", invalid),
                ]),
            ),
            ("subscribe", json!({ "boards": ["rounds"] }), json!(["rounds"]), json!([])),
            (
                "subscribe",
                json!({ "boards": many }),
                json!(many[..6]),
                Value::from_iter(many[6..].iter().map(|board| refusal(board, invalid))),
            ),
            (
                "unsubscribe",
                json!({ "boards": ["rounds", "rounds", "nope", "players"] }),
                json!(["rounds", "players"]),
                json!([refusal("rounds", unknown), refusal("nope", unknown)]),
            ),
            (
                "subscribe",
                json!({ "boards": ["weekly@0", "weekly@7", "weekly", "global"] }),
                json!(["weekly@0", "weekly", "global"]),
                json!([refusal("weekly@7", "SERVICE_UNAVAILABLE")]),
            ),
        ] {
            let context = format!("{protocol:?} {data}");
            let answer = client.request(event, data).await;
            assert_eq!(answer, json!({ "accepted": accepted, "refused": refused }), "{context}");
        }
        drop(client);
        eventually("the node to follow no board", async || {
            node.app.live.fanout.watched().all().is_empty().then_some(())
        })
        .await;
    }
    let stream = "/api/v1/leaderboard/stream";
    for (query, status, code) in [
        ("board=weekly&board=nope", 404, unknown),
        ("board=players", 404, unknown),
        ("board=", 404, unknown),
        ("boards=weekly", 400, invalid),
        (&[["board=weekly"]; 9].concat().join("&"), 400, invalid),
    ] {
        node.get(&format!("{stream}?{query}")).await.assert_refused(status, code);
    }
}

#[tokio::test]
async fn a_new_period_is_shown_at_once_and_its_version_is_newer() {
    let stores = TestStores::with_fake_clock().await;
    let file = stores.write_boards("[[board]]\nid = \"daily\"\nperiod = \"day\"\n");
    let node = stores.start_node_with(|config| config.boards.file = file).await;
    let ada = node.register("ada").await;
    let mut client = Subscriber::open_boards(&node.base, Protocol::WebSocket, &ada.token, &["daily"]).await;
    node.award(&ada, "watch_ad").await;
    let today = client.wait_for_entries("daily", &[("ada", 10, 1)]).await;
    let now_ms = node.app.store.now_us().await.unwrap() / 1000;
    set_clock(&stores, now_ms + 86_400_000);
    let tomorrow = loop {
        let data = client.wait_for("board_updated").await.data;
        if data["period"] != today["period"] {
            break data;
        }
    };
    // The client checks that the version is above the old one.
    assert_eq!(tomorrow["entries"], json!([]));
    node.award(&ada, "watch_ad").await;
    let again = client.wait_for_entries("daily", &[("ada", 10, 1)]).await;
    assert_eq!(again["period"], tomorrow["period"]);
    assert_eq!(own_entry(&mut client, "daily").await["period"], tomorrow["period"]);
}

#[tokio::test]
async fn who_may_not_see_a_board_any_more_gets_no_more_of_it() {
    let stores = TestStores::new().await;
    let node = start_node(&stores).await;
    let (root, ada) = (create_admin(&node).await, node.register("ada").await);
    let cup = json!({ "id": "cup", "visibility": "players", "period": "week", "reason": "a test" });
    let headers = [("idempotency-key", "cup")];
    assert_eq!(node.post_with("/api/admin/boards", &root.token, &headers, &cup).await.status, 201);
    let show_to = async |viewers: &str| {
        let bearer = format!("Bearer {}", root.token);
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        let change = json!({ "visibility": viewers, "reason": "a test" }).to_string().into_bytes();
        assert_eq!(node.send(Method::PATCH, "/api/admin/boards/cup", &headers, change).await.status, 200);
    };
    let boards = ["cup", "rounds"];
    let mut clients = Vec::new();
    for protocol in ALL {
        clients.push(Subscriber::open_boards(&node.base, protocol, &ada.token, &boards).await);
    }
    node.award(&ada, "watch_ad").await;
    for client in &mut clients {
        client.wait_for_entries("cup", &[("ada", 10, 1)]).await;
    }
    show_to("admins").await;
    let mut admin = Subscriber::open_boards(&node.base, Protocol::WebSocket, &root.token, &["cup"]).await;
    node.award(&ada, "watch_ad").await;
    admin.wait_for_entries("cup", &[("ada", 20, 1)]).await;
    node.award(&ada, "watch_ad").await;
    for client in &mut clients {
        loop {
            let data = client.next().await.unwrap().data;
            let score = data["entries"][0]["score"].as_i64().or(data["score"].as_i64());
            assert!(data["board"] != "cup" || score == Some(10), "{:?}: {data}", client.protocol());
            if data["board"] == "rounds" && score == Some(3) {
                break;
            }
        }
    }
    show_to("players").await;
    for client in &mut clients {
        client.wait_for_entries("cup", &[("ada", 30, 1)]).await;
    }
}
