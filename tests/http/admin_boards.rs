//! Boards that admins create at run time.

use laurel::ledger::verify_boards;
use laurel::serve::Node;
use reqwest::Method;
use serde_json::{Value, json};

use super::admin::create_admin;
use crate::harness::{Player, TestNode, TestResponse, TestStores, eventually};

const HOUR_MS: i64 = 3_600_000;

async fn create(node: &TestNode, admin: &Player, key: &str, board: &Value) -> TestResponse {
    node.post_with("/api/admin/boards", &admin.token, &[("idempotency-key", key)], board).await
}

async fn change(node: &TestNode, admin: &Player, board: &str, changes: &Value) -> TestResponse {
    let bearer = format!("Bearer {}", admin.token);
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let path = format!("/api/admin/boards/{board}");
    node.send(Method::PATCH, &path, &headers, changes.to_string().into_bytes()).await
}

/// Waits until a board has these players, best first.
async fn wait_for_players(node: &TestNode, board_and_query: &str, players: &[&Player]) {
    let (board, query) = board_and_query.split_once('?').unwrap_or((board_and_query, ""));
    let expected: Vec<Value> = players.iter().map(|player| json!(player.identity.user)).collect();
    eventually("the board to have its players", async || {
        let page = node.get_as(players[0], &format!("/api/v1/boards/{board}/entries?{query}")).await.body;
        let found = page["entries"].as_array()?.iter().map(|entry| entry["userId"].clone());
        found.eq(expected.iter().cloned()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_event_is_created_followed_changed_and_closed() {
    let mut stores = TestStores::with_fake_clock().await;
    stores.config.boards.file = stores.write_boards("[[board]]\nid = \"weekly\"\nperiod = \"week\"\n");
    let nodes = [stores.start_node().await, stores.start_node().await];
    let root = create_admin(&nodes[0]).await;
    let (ada, bob) = (nodes[0].register("ada").await, nodes[0].register("bob").await);
    nodes[0].award(&ada, "watch_ad").await;
    nodes[0].wait_for_ledger().await;
    let now_ms = stores.clock.now_ms();
    let [from, until] = [-HOUR_MS, 2 * HOUR_MS]
        .map(|ms| laurel::clock::rfc3339((now_ms + ms) / 1000 * 1000)[..19].to_owned() + "Z");
    let event = |id: &str, backfill: bool| {
        json!({
            "id": id, "title": "Cup", "actions": ["watch_ad"], "period": { "from": from, "until": until },
            "settle": "0s", "backfill": backfill, "where": null, "reason": "a test",
        })
    };
    let created = create(&nodes[0], &root, "cup", &event("cup", true)).await;
    assert_eq!(
        (created.status, &created.body["message"]),
        (201, &json!("Board created")),
        "{}",
        created.text
    );
    let board = &created.body["data"];
    assert_eq!(
        (&board["id"], &board["title"], &board["period"]["id"]),
        (&json!("cup"), &json!("Cup"), &json!("p1"))
    );
    assert_eq!(create(&nodes[1], &root, "cup", &event("cup", true)).await.status, 201, "a repeat");
    create(&nodes[1], &root, "cup", &event("cup", false)).await.assert_refused(409, "IDEMPOTENCY_MISMATCH");
    for id in ["cup", "weekly"] {
        create(&nodes[1], &root, "again", &event(id, true)).await.assert_refused(409, "ALREADY_EXISTS");
    }
    assert_eq!(create(&nodes[1], &root, "fresh", &event("fresh", false)).await.status, 201);

    // Every node knows the boards. One counts the award from before, the other one does not.
    for node in &nodes {
        wait_for_players(node, "cup", &[&ada]).await;
    }
    nodes[1].award(&bob, "watch_ad").await;
    let expect = async |cup: &str, fresh: &str| {
        wait_for_players(&nodes[0], cup, &[&ada, &bob]).await;
        wait_for_players(&nodes[0], fresh, &[&bob]).await;
    };
    expect("cup", "fresh").await;
    stores.redis_client().await.query::<()>("FLUSHALL").await;
    expect("cup", "fresh").await;
    let mut found = Vec::new();
    let entries = verify_boards(&nodes[1].app.ledger, Some("fresh"), &mut |it| found.push(it)).await.unwrap();
    assert_eq!((entries, found), (1, vec![]));

    // What may change changes on every node.
    let changed =
        change(&nodes[0], &root, "cup", &json!({ "title": "Grand cup", "visibility": "players" })).await;
    assert_eq!(
        (changed.status, &changed.body["data"]["title"]),
        (200, &json!("Grand cup")),
        "{}",
        changed.text
    );
    for node in &nodes {
        eventually("the change to be known", async || {
            let hidden = node.get("/api/v1/boards/cup").await.status == 404;
            let seen = node.get_as(&ada, "/api/v1/boards/cup").await.body["title"] == "Grand cup";
            (hidden && seen).then_some(())
        })
        .await;
    }
    change(&nodes[0], &root, "nothing", &json!({ "title": "x" }))
        .await
        .assert_refused(404, "BOARD_NOT_FOUND");
    for (board, changes, field) in [
        ("weekly", json!({ "title": "x" }), "board"),
        ("cup", json!({ "attempts": 3 }), "attempts"),
        ("cup", json!({ "title": "" }), "title"),
        ("cup", json!({ "reason": "" }), "reason"),
    ] {
        let refused = change(&nodes[0], &root, board, &changes).await;
        refused.assert_refused(400, "VALIDATION_ERROR");
        assert_eq!(refused.fields(), [field]);
    }

    // Events are closed like other boards.
    stores.redis.set_clock("+10800");
    expect("cup?period=p1", "fresh?period=p1").await;
    for board in ["cup", "fresh"] {
        eventually("the event to be closed", async || {
            let period = nodes[1].get_as(&ada, &format!("/api/v1/boards/{board}/periods/p1")).await.body;
            (period["state"] == "closed").then_some(())
        })
        .await;
    }
    expect("cup?period=p1", "fresh?period=p1").await;
    let path = format!("/api/v1/users/{}/places", bob.identity.user);
    let places = eventually("all current places to be known", async || {
        let places = nodes[0].get_as(&ada, &path).await.body["places"].take();
        (places.as_array()?.len() == 4).then_some(places)
    })
    .await;
    let found = |places: &Value| -> Vec<Value> {
        let place =
            |place: &Value| json!([place["period"], place["position"], place["rank"], place["score"]]);
        let all = places.as_array().unwrap().iter();
        all.map(|it| json!([it["board"], place(&it["current"]), place(&it["best"])])).collect()
    };
    let none = json!([null, null, null, null]);
    let expected = [
        json!(["global", ["all", 2, 1, 10], none]),
        json!(["weekly", [places[1]["current"]["period"], 2, 1, 10], none]),
        json!(["cup", none, ["p1", 2, 1, 10]]),
        json!(["fresh", none, ["p1", 1, 1, 10]]),
    ];
    assert_eq!(found(&places), expected);
    let public = nodes[0].get(&path).await.body["places"].take();
    assert_eq!(found(&public), [expected[0].clone(), expected[1].clone(), expected[3].clone()]);

    let actions =
        "SELECT action FROM admin_audit WHERE detail ? 'board' AND actor = 'root' ORDER BY created_at";
    let actions: Vec<String> = sqlx::query_scalar(actions).fetch_all(&nodes[0].app.database).await.unwrap();
    assert_eq!(actions, ["create_board", "create_board", "change_board"]);
    for node in nodes {
        node.stop().await;
    }
    // A new node knows them, and refuses a file that has the id.
    let app = stores.build_app().await;
    let boards = app.boards.all();
    let ids: Vec<&str> = boards.iter().map(|board| board.id.as_str()).collect();
    assert_eq!(ids, ["global", "weekly", "cup", "fresh"]);
    let mut config = stores.config.clone();
    config.boards.file = stores.write_boards("[[board]]\nid = \"fresh\"\n");
    let problem = Node::start(config, stores.clock.clone()).await.err().unwrap().to_string();
    assert!(
        problem.contains("board fresh of ") && problem.contains("board fresh that root created"),
        "{problem}"
    );
}

#[tokio::test]
async fn a_new_board_is_checked_like_one_of_the_file() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let root = create_admin(&node).await;
    let valid = json!({ "id": "cup", "period": "week", "resets_at": "Mon 09:00", "settle": "1h" });
    for (changes, fields) in [
        (json!({ "id": null }), vec!["id"]),
        (
            json!({ "id": "Cup", "title": 7, "period": "weeks", "resets_at": null }),
            vec!["id", "title", "period"],
        ),
        (json!({ "id": "global" }), vec!["id"]),
        (json!({ "actions": ["complete_levl"], "titel": "x" }), vec!["actions", "titel"]),
        (
            json!({ "where": { "mode": "a b" }, "top": 2.5, "backfill": "no" }),
            vec!["where.mode", "top", "backfill"],
        ),
        (json!({ "where": 7 }), vec!["where"]),
        (json!({ "where": { "mode": null } }), vec!["body"]),
        (json!({ "period": "none" }), vec!["resets_at"]),
        (json!({ "resets_at": null, "period": { "from": "2020-07-01T09:00:00" } }), vec!["period"]),
        (
            json!({ "resets_at": null, "period": { "from": "2020-07-01T09:00:00", "until": "2020-07-02T09:00:00" } }),
            vec!["period.until"],
        ),
    ] {
        let mut board = valid.clone();
        board.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        for path in ["/api/admin/boards", "/api/admin/board-preview"] {
            let refused = node.post(path, &root.token, &board).await;
            refused.assert_refused(400, "VALIDATION_ERROR");
            let mut found = refused.fields();
            found.sort_unstable();
            let mut fields = fields.clone();
            fields.sort_unstable();
            assert_eq!(found, fields, "{board}");
        }
    }
    let misspelled = json!({ "id": "cup", "measure": "point" });
    let refused = node.post("/api/admin/boards", &root.token, &misspelled).await;
    assert!(refused.text.contains("did you mean points?"), "{}", refused.text);

    let preview = node.post("/api/admin/board-preview", &root.token, &valid).await;
    assert_eq!(preview.status, 200, "{}", preview.text);
    let periods = preview.body["data"]["periods"].as_array().unwrap();
    assert_eq!(periods.len(), 5);
    for pair in periods.windows(2) {
        assert_eq!(pair[0]["endsAt"], pair[1]["startsAt"]);
        assert!(pair[0]["closesAt"].as_str().unwrap().ends_with("T10:00:00.000Z"), "{preview:?}");
    }
    let used = json!({ "id": "daily" });
    node.post("/api/admin/board-preview", &root.token, &used).await.assert_refused(409, "ALREADY_EXISTS");
    node.get("/api/v1/boards/cup").await.assert_refused(404, "BOARD_NOT_FOUND");
}
