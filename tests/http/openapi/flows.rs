//! Valid and invalid requests to the operations of each API.

use reqwest::Method;
use serde_json::{Value, json};

use super::driver::{Driver, Request};
use crate::harness::{Player, TestNode, eventually};
use crate::http::admin::create_admin;
use crate::http::callbacks::start_ad_network;

/// A request with a player's login.
fn by(player: &Player) -> Request {
    Request::default().login(player)
}

pub async fn auth(driver: &mut Driver, node: &TestNode) {
    let register = |name: &str, password: &str| {
        let email = format!("{name}@example.com");
        Request::default().body(json!({ "username": name, "email": email, "password": password }))
    };
    driver.call(node, "register", register("cleo", "correct horse"), 201).await;
    driver.call(node, "register", register("CLEO", "correct horse"), 409).await;
    driver.call(node, "register", register("cleo", "short"), 400).await;
    driver.call(node, "register", Request::default().body(json!("{}")), 415).await;
    driver.call(node, "register", register(&"x".repeat(17_000), "correct horse"), 413).await;
    let login = |password| Request::default().body(json!({ "username": "cleo", "password": password }));
    driver.call(node, "login", login("correct horse"), 200).await;
    driver.call(node, "login", login("another horse"), 401).await;
}

pub async fn game(driver: &mut Driver, node: &TestNode) {
    let ada = node.register("gamer").await;
    driver.call(node, "getGameSession", by(&ada), 404).await;
    let started = driver.call(node, "startGame", by(&ada), 200).await;
    driver.call(node, "getGameSession", by(&ada), 200).await;
    let token = started.body["data"]["actionToken"].clone();
    let update = |points| {
        let body = json!({ "actionToken": token, "actionType": "watch_ad", "points": points });
        by(&ada).header("idempotency-key", "game").body(body)
    };
    driver.call(node, "updateScore", update(11), 400).await;
    driver.call(node, "updateScore", update(10), 200).await;
    let replay = driver.call(node, "updateScore", update(10), 200).await;
    assert_eq!(replay.header("idempotent-replayed"), "true");
    driver.call(node, "endGame", by(&ada), 200).await;
    driver.call(node, "endGame", by(&ada), 404).await;
    driver.call(node, "updateScore", update(10).body(json!({})), 400).await;
}

pub async fn actions(driver: &mut Driver, node: &TestNode) {
    let ada = node.register("actor").await;
    driver.call(node, "listActions", Request::default(), 200).await;
    let init = |action| by(&ada).body(json!({ "actionType": action }));
    for action in ["demo_elapsed", "demo_hashcash"] {
        driver.call(node, "initAction", init(action), 200).await;
    }
    driver.call(node, "initAction", init("nothing"), 400).await;
    let quiz = driver.call(node, "initAction", init("demo_quiz"), 200).await;
    let finalize = |token: &Value, proof: Value| {
        by(&ada).header("idempotency-key", "finalize").body(json!({ "antiSpamToken": token, "proof": proof }))
    };
    let wrong = finalize(&quiz.body["antiSpamToken"], json!({ "quizResult": "Atlantis" }));
    driver.call(node, "finalizeAction", wrong.clone(), 422).await;
    assert_eq!(driver.call(node, "finalizeAction", wrong, 422).await.header("idempotent-replayed"), "true");
    let ad = driver.call(node, "initAction", init("watch_ad"), 200).await;
    let reused = finalize(&ad.body["antiSpamToken"], Value::Null);
    driver.call(node, "finalizeAction", reused, 409).await;
    let right = by(&ada).body(json!({ "antiSpamToken": ad.body["antiSpamToken"] }));
    driver.call(node, "finalizeAction", right.clone().header("idempotency-key", ""), 400).await;
    driver.call(node, "finalizeAction", right, 200).await;

    let prove = |action| by(&ada).body(json!({ "actionType": action }));
    driver.call(node, "issueActionToken", prove("nothing"), 400).await;
    let proven = driver.call(node, "issueActionToken", prove("watch_ad"), 201).await;
    driver.call(node, "issueActionToken", prove("watch_ad"), 429).await;
    let redeem = by(&ada).body(json!({ "actionToken": proven.body["actionToken"] }));
    driver.call(node, "redeemActionToken", redeem.clone(), 200).await;
    driver.call(node, "redeemActionToken", redeem, 409).await;
}

pub async fn callbacks(driver: &mut Driver, node_without_ads: &TestNode) {
    driver.call(node_without_ads, "creditAd", Request::default(), 404).await;
    let ads = start_ad_network().await;
    let node = &ads.nodes[0];
    let ada = node.register("ada").await;
    let token = node.issue_token(&ada, "rewarded_ad").await;
    let query = ads.callback(&token, "t1", &ada).await;
    driver.call(node, "creditAd", Request::default().query(&query), 200).await;
    driver.call(node, "creditAd", Request::default().query(&ads.test_call()), 200).await;
    driver.call(node, "creditAd", Request::default().query("x=1"), 400).await;
    driver.call(node, "listActions", Request::default(), 200).await;
}

pub async fn board(driver: &mut Driver, node: &TestNode) {
    let ada = node.register("watcher").await;
    for id in ["getTop10", "getLeaderboard"] {
        let tag = driver.call(node, id, Request::default(), 200).await.header("etag").to_owned();
        driver.call(node, id, Request::default().header("if-none-match", &tag), 304).await;
    }
    node.wait_for_boards().await;
    for (id, path_value) in [("listBoards", ""), ("getBoard", "weekly"), ("getBoard", "global")] {
        let request = || by(&ada).path_value(path_value);
        let tag = driver.call(node, id, request(), 200).await.header("etag").to_owned();
        driver.call(node, id, request().header("if-none-match", &tag), 304).await;
    }
    driver.call(node, "getBoard", Request::default().path_value("nothing"), 404).await;
    driver.call(node, "listEntries", Request::default().path_value("weekly"), 200).await;
    driver.call(node, "listEntries", Request::default().path_value("nothing"), 404).await;
    for (id, path_value) in [("listPeriods", "weekly"), ("getPeriod", "global")] {
        let request = || Request::default().path_value(path_value);
        let tag = driver.call(node, id, request(), 200).await.header("etag").to_owned();
        driver.call(node, id, request().header("if-none-match", &tag), 304).await;
        driver.call(node, id, Request::default().path_value("nothing"), 404).await;
    }
    driver.call(node, "listPeriods", Request::default().path_value("weekly").query("limit=0"), 400).await;
    driver.call(node, "getPeriod", Request::default().path_value("weekly"), 404).await;
    let users = Request::default().body(json!({ "userIds": [uuid::Uuid::nil()] }));
    driver.call(node, "lookUpEntries", users.path_value("weekly"), 200).await;
    let users = Request::default().body(json!({ "userIds": [] }));
    driver.call(node, "lookUpEntries", users.path_value("weekly"), 400).await;
    let refused = driver.call(node, "getUserScore", by(&ada).path_value("watcher"), 400).await;
    assert_eq!(refused.fields(), ["userId"]);
    let number = ada.identity.number.to_string();
    driver.call(node, "getUserScore", by(&ada).path_value(&number), 200).await;
    driver.call(node, "getUserScore", by(&ada).path_value("1"), 200).await;
    driver.call(node, "getUserScore", by(&ada).path_value("999"), 404).await;
}

pub async fn players(driver: &mut Driver, node: &TestNode) {
    let ada = node.register("player").await;
    for _ in 0..2 {
        node.award(&ada, "watch_ad").await;
    }
    node.wait_for_ledger().await;
    driver.call(node, "getMe", by(&ada), 200).await;
    let id = ada.identity.user.to_string();
    let request = || Request::default().path_value(&id);
    for (operation, query) in [("getUser", ""), ("getAwardHistory", ""), ("getAwardHistory", "limit=1")] {
        let tag = driver.call(node, operation, request().query(query), 200).await.header("etag").to_owned();
        let again = request().query(query).header("if-none-match", &tag);
        driver.call(node, operation, again, 304).await;
        driver.call(node, operation, Request::default().path_value("999"), 404).await;
        driver.call(node, operation, Request::default().path_value("player"), 400).await;
    }
    driver.call(node, "getAwardHistory", request().query("cursor=x"), 400).await;
    eventually("the player to be on a board", async || {
        let places = node.get(&format!("/api/v1/users/{id}/places")).await;
        places.body["places"][1].is_object().then_some(())
    })
    .await;
    let places = driver.call(node, "getPlaces", request(), 200).await;
    let again = request().header("if-none-match", places.header("etag"));
    driver.call(node, "getPlaces", again, 304).await;
    driver.call(node, "getPlaces", Request::default().path_value("999"), 404).await;
}

pub async fn admin(driver: &mut Driver, node: &TestNode) {
    let (root, ada) = (create_admin(node).await, node.register("suspect").await);
    node.award(&ada, "watch_ad").await;
    let because = || by(&root).path_value("suspect").body(json!({ "reason": "because" }));
    for id in ["banUser", "unbanUser", "quarantineUser", "approveUser", "quarantineUser", "voidUser"] {
        driver.call(node, id, because(), 200).await;
        driver.call(node, id, because().path_value("nobody"), 404).await;
        driver.call(node, id, because().body(json!({})), 400).await;
    }
    let adjust = || {
        let body = json!({ "points": -3, "reason": "too much" });
        by(&root).path_value("suspect").header("idempotency-key", "adjust").body(body)
    };
    driver.call(node, "adjustUser", adjust(), 200).await;
    driver.call(node, "adjustUser", adjust(), 200).await;
    let other = adjust().body(json!({ "points": 4, "reason": "too little" }));
    driver.call(node, "adjustUser", other, 409).await;
    driver.call(node, "reportUser", by(&root).path_value("suspect").query("hours=1"), 200).await;
    for id in ["listSuspects", "listAudit"] {
        driver.call(node, id, by(&root).query("hours=720&limit=1000"), 200).await;
        driver.call(node, id, by(&root).query("limit=0"), 400).await;
    }
    // A period that ended long ago, and is closed on demand.
    sqlx::query(
        "INSERT INTO board_periods (board, period, starts_us, ends_us, closes_us, rules, counts_from_us)
         SELECT board, 'all', 0, 1, ends_us, rules, 0 FROM board_periods WHERE board = 'weekly'",
    )
    .execute(&node.app.database)
    .await
    .unwrap();
    for id in ["holdPeriod", "releasePeriod", "closePeriod"] {
        driver.call(node, id, because().path_value("weekly"), 200).await;
        driver.call(node, id, because().path_value("nothing"), 404).await;
        driver.call(node, id, because().path_value("daily"), 404).await;
        driver.call(node, id, because().path_value("weekly").body(json!({})), 400).await;
    }
    eventually("the period to be closed", async || {
        let period = node.get("/api/v1/boards/weekly/periods/all").await;
        (period.body["state"] == "closed").then_some(())
    })
    .await;
    driver.call(node, "getPeriod", Request::default().path_value("weekly"), 200).await;
    driver.call(node, "holdPeriod", because().path_value("weekly"), 400).await;
    driver.call(node, "listAdminPeriods", by(&root).path_value("weekly"), 200).await;
    driver.call(node, "listAdminPeriods", by(&root).path_value("nothing"), 404).await;
    driver.call(node, "getAdminPeriod", by(&root).path_value("weekly"), 200).await;
    driver.call(node, "getAdminPeriod", by(&root).path_value("nothing"), 404).await;
    driver.call(node, "rebuildBoard", because().path_value("global"), 200).await;
    driver.call(node, "rebuildBoard", because().path_value("nothing"), 404).await;
    driver.call(node, "rebuildBoard", because().path_value("weekly").body(json!({})), 400).await;
    for (id, status, refused) in
        [("createBoard", 201, 409), ("previewBoard", 200, 400), ("changeBoard", 200, 400)]
    {
        let operation = driver.operations().into_iter().find(|operation| operation.id == id).unwrap();
        let request = || Request::example(&operation).login(&root);
        driver.call(node, id, request(), status).await;
        let again = if id == "createBoard" { request() } else { request().body(json!({ "title": "" })) };
        driver.call(node, id, again, refused).await;
    }
    let change = by(&root).path_value("nothing").body(json!({ "title": "x" }));
    driver.call(node, "changeBoard", change, 404).await;
    for operation in driver.operations().iter().filter(|it| it.path.starts_with("/api/admin/")) {
        driver.call(node, &operation.id, by(&ada).path_value("suspect").body(json!({})), 403).await;
    }
}

/// Runs after `admin`, so that the history has every kind of event.
pub async fn analytics(driver: &mut Driver, node: &TestNode) {
    let root = node.login("root").await;
    let queries = [
        ("getActivity", "hours=48&step=day", "hours=0"),
        ("getMostActive", "period=hour&limit=100", "period=year"),
        ("getPeakHours", "days=365", "days=366"),
        ("getScores", "", "users=1"),
        ("getSessions", "days=1", "days=x"),
        ("searchUsers", "search=SUSP&after=1&limit=5", "limit=0"),
    ];
    for (id, valid, invalid) in queries {
        driver.call(node, id, by(&root).query(valid), 200).await;
        let refused = driver.call(node, id, by(&root).query(invalid), 400).await;
        assert_eq!(refused.fields(), [invalid.split('=').next().unwrap()]);
    }
    let eve = node.login("suspect").await;
    node.start_game(&eve).await;
    let quiz = node.issue_token(&eve, "demo_quiz").await;
    node.finalize(&eve, &quiz, json!({ "quizResult": "Atlantis" })).await;
    node.issue_token(&eve, "demo_quiz").await;
    node.wait_for_ledger().await;
    for suspect in ["suspect", "127.0.0.1"] {
        driver.call(node, "getEvidence", by(&root).path_value(suspect).query("hours=1"), 200).await;
    }
    driver.call(node, "getEvidence", by(&root).path_value("nobody"), 404).await;
    let mut query = "limit=5".to_owned();
    let mut kinds = std::collections::BTreeSet::new();
    loop {
        let page = driver.call(node, "getHistory", by(&root).path_value("suspect").query(&query), 200).await;
        let events = page.body["data"]["events"].as_array().unwrap();
        kinds.extend(events.iter().map(|event| event["kind"].as_str().unwrap().to_owned()));
        let Some(next) = page.body["data"]["next"].as_str() else { break };
        query = format!("limit=5&before={next}");
    }
    assert_eq!(
        kinds,
        ["adjustment", "admin", "award", "open", "refused", "session"].map(str::to_owned).into()
    );
    let refused =
        driver.call(node, "getHistory", by(&root).path_value("suspect").query("before=x"), 400).await;
    assert_eq!(refused.fields(), ["before"]);
}

/// Runs after `admin`. Creates two dead letters.
pub async fn dead_letters(driver: &mut Driver, node: &TestNode) {
    let root = node.login("root").await;
    for entry in ["one", "two"] {
        let insert = "INSERT INTO dead_letters (shard, stream_id, entry, reason, detail) VALUES (0, $1, $2, 'unreadable', 'x')";
        let insert = sqlx::query(insert).bind(entry).bind(entry.as_bytes());
        insert.execute(&node.app.database).await.unwrap();
    }
    let listed = driver.call(node, "listDeadLetters", by(&root).query("state=waiting&limit=5"), 200).await;
    let listed = listed.body["data"].as_array().unwrap().clone();
    assert_eq!(listed.len(), 2);
    for (id, letter) in ["retryDeadLetter", "discardDeadLetter"].into_iter().zip(&listed) {
        let letter = letter["letterId"].to_string();
        let decide = |letter: &str| by(&root).path_value(letter).body(json!({ "reason": "because" }));
        driver.call(node, id, decide(&letter), 200).await;
        driver.call(node, id, by(&root).path_value(&letter).body(json!({})), 400).await;
        driver.call(node, id, decide("999"), 404).await;
    }
    let discarded = driver.call(node, "listDeadLetters", by(&root).query("state=all"), 200).await;
    assert_eq!(discarded.body["data"][1]["decidedReason"], "because");
    driver.call(node, "listDeadLetters", by(&root).query("state=none"), 400).await;
}

pub async fn realtime(driver: &mut Driver, node: &TestNode) {
    let ada = node.register("realtime_user").await;
    driver.call(node, "openWebSocket", by(&ada).handshake(), 101).await;
    let refused = driver.call(node, "openWebSocket", by(&ada), 400).await;
    assert_eq!(refused.header("sec-websocket-version"), "13");
    driver.call(node, "streamEvents", Request::default(), 200).await;
    driver.call(node, "streamEvents", Request::default().header("authorization", "Bearer x"), 401).await;

    let open = "EIO=4&transport=polling";
    let opened = driver.call(node, "pollSocketIo", Request::default().query(open), 200).await;
    let handshake: Value = serde_json::from_str(&opened.text[1..]).unwrap();
    let session = Request::default().query(&format!("{open}&sid={}", handshake["sid"].as_str().unwrap()));
    let connect = json!({ "token": ada.token });
    driver.call(node, "sendSocketIo", session.body(json!(format!("40{connect}"))), 200).await;
    let old_version = || Request::default().query("EIO=3&transport=polling");
    driver.call(node, "pollSocketIo", old_version(), 400).await;
    driver.call(node, "sendSocketIo", old_version().body(json!("")), 400).await;
}

pub async fn operations(driver: &mut Driver, node: &TestNode) {
    for id in ["getHealth", "getReadiness", "getAwardReadiness", "getMetrics", "getReceiptKeys", "getOpenApi"]
    {
        driver.call(node, id, Request::default(), 200).await;
    }
    let events = driver.call(node, "getAsyncApi", Request::default(), 200).await;
    assert_eq!(events.body, laurel::http::asyncapi());
    let served = node.send(Method::GET, "/openapi.json", &[], Vec::new()).await;
    assert_eq!(served.body, driver.document);
    node.app.health.start_draining();
    for id in ["getReadiness", "getAwardReadiness", "streamEvents"] {
        driver.call(node, id, Request::default(), 503).await;
    }
}
