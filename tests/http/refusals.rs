//! Errors tell clients in `metadata` how to correct a request. Of several errors, the first in the documented order is returned.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Player, TestNode, TestResponse, TestStores, assert_ledger_matches};

async fn start(node: &TestNode, player: &Player) -> Value {
    let started = node.post("/api/game/start", &player.token, &json!({})).await;
    assert_eq!(started.status, 200, "{}", started.text);
    started.body["data"]["actionToken"].clone()
}

async fn update(node: &TestNode, token: &str, body: &str) -> TestResponse {
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    node.send(Method::POST, "/api/score/update", &headers, body.as_bytes().to_vec()).await
}

#[tokio::test]
async fn the_first_failed_check_decides() {
    let stores = TestStores::new().await;
    let node = stores.start_node_with(|it| it.limits.updates_per_minute = 0).await;
    let ada = node.register("ada").await;
    let token = start(&node, &ada).await;
    let unknown = "act_a1b2c3d4e5f6g7h8i9j0";
    let body = |token: &str, action: &str, points: &str| {
        format!("{{\"actionToken\":\"{token}\",\"actionType\":\"{action}\",\"points\":{points}}}")
    };
    let login = |body: String, code| (ada.token.as_str(), body, code);
    let mut cases = vec![
        ("", body("x", "print_money", "\"top\""), "UNAUTHORIZED"),
        ("a.b.c", body("x", "print_money", "\"top\""), "INVALID_TOKEN"),
        login(body("x", "print_money", "\"top\""), "VALIDATION_ERROR"),
        login(body("x", "print_money", "null"), "VALIDATION_ERROR"),
        login(body("x", "print_money", "-10").replace('}', ",\"score\":1}"), "VALIDATION_ERROR"),
        login(body("x", "print_money", "-10"), "INVALID_TOKEN"),
        login(body("", "print_money", "1e400"), "INVALID_TOKEN"),
        login(body(unknown, "print_money", "-10"), "INVALID_ACTION"),
        login(body(unknown, "demo_quiz", "0.5"), "INVALID_ACTION"),
        login(body(unknown, "watch_ad", "10"), "INVALID_TOKEN"),
    ];
    let points = ["-10", "0", "-0.0", "9", "10.5", "1e2", "10.000001", "-1e400", "1e400", "9007199254740993"];
    cases.extend(points.map(|it| login(body(token.as_str().unwrap(), "watch_ad", it), "INVALID_POINTS")));
    for (token, body, code) in cases {
        let answer = update(&node, token, &body).await;
        assert_eq!(answer.code(), code, "{body}: {}", answer.text);
    }
    let good = body(token.as_str().unwrap(), "watch_ad", "1.0e1");
    assert_eq!(update(&node, &ada.token, &good).await.body["data"]["newScore"], 10, "no token was spent");
    for (body, code) in [
        (json!({ "antiSpamToken": "a.b.c", "actionId": 999 }), "INVALID_TOKEN"),
        (json!({ "antiSpamToken": "a.b.c", "actionType": "print_money", "actionId": 1 }), "INVALID_TOKEN"),
        (json!({ "actionId": 999 }), "INVALID_ACTION"),
        (json!({ "actionId": 1, "actionType": "solve_puzzle" }), "INVALID_ACTION"),
        (json!({ "actionId": -1 }), "VALIDATION_ERROR"),
    ] {
        let answer = node.post("/api/v1/action-tokens", &ada.token, &body).await;
        assert_eq!(answer.code(), code, "{body}: {}", answer.text);
    }
    assert_ledger_matches(&stores).await;
}

#[tokio::test]
async fn a_login_without_scheme_gets_the_header_format() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let ada = node.register("ada").await;
    for header in [
        ada.token.clone(),
        format!("Token {}", ada.token),
        "Basic YTpi".into(),
        "Bearer".into(),
        "Bearer ".into(),
    ] {
        for path in ["/api/game/session", "/api/v1/ws"] {
            let answer = node.send(Method::GET, path, &[("authorization", &header)], Vec::new()).await;
            answer.assert_refused(401, "UNAUTHORIZED");
            assert_eq!(answer.body["message"], "No access token provided");
            assert_eq!(answer.body["metadata"]["expected"], "Authorization: Bearer <access token>");
            assert!(!answer.text.contains(&ada.token));
        }
    }
}

/// The action types of the catalogue that are available in these flows.
async fn open_at(node: &TestNode, flows: &[&str]) -> BTreeSet<String> {
    let catalogue = node.get("/api/v1/actions").await;
    let is_open =
        |it: &&Value| flows.iter().any(|flow| it["flows"].as_array().unwrap().contains(&json!(flow)));
    let open = catalogue.body["actions"].as_array().unwrap().iter().filter(is_open);
    open.map(|it| it["actionType"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn an_unavailable_action_lists_the_available_ones() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let ada = node.register("ada").await;
    let token = start(&node, &ada).await;
    let update = |action: &str| json!({ "actionToken": token, "actionType": action, "points": 10 });
    for (path, body, flows) in [
        ("/api/v1/actions/init", json!({ "actionType": "print_money" }), &["actions", "tokens"][..]),
        ("/api/v1/actions/init", json!({ "actionType": "" }), &["actions", "tokens"]),
        ("/api/v1/action-tokens", json!({ "actionType": "Watch_Ad" }), &["tokens"]),
        ("/api/v1/action-tokens", json!({ "actionId": 999 }), &["tokens"]),
        ("/api/score/update", update("print_money"), &["game"]),
        ("/api/score/update", update("demo_quiz"), &["game"]),
    ] {
        let answer = node.post(path, &ada.token, &body).await;
        answer.assert_refused(400, "INVALID_ACTION");
        assert_eq!(answer.body["message"], "Invalid action type");
        let valid: BTreeSet<String> =
            serde_json::from_value(answer.body["metadata"]["validActionTypes"].clone()).unwrap();
        assert_eq!(valid, open_at(&node, flows).await, "{path} {body}");
    }
}

/// Actions with one limit each.
const LIMITED: &str = r#"
    [[action]]
    type = "cooling"
    number = 1
    points = 10
    points_by_difficulty = { hard = 40, soft = 5, same = 10 }
    proof = { kind = "none" }
    cooldown_ms = 3600000
    [[action]]
    type = "hourly"
    number = 2
    points = 1
    proof = { kind = "none" }
    cap_per_hour = 1
    [[action]]
    type = "daily"
    number = 3
    points = 1
    proof = { kind = "none" }
    cap_per_day = 1
    [[action]]
    type = "both"
    number = 4
    points = 1
    proof = { kind = "none" }
    cap_per_hour = 1
    cap_per_day = 1
    [[action]]
    type = "rich"
    number = 5
    points = 90
    proof = { kind = "none" }
"#;

async fn limited(stores: &TestStores, rule: &str) -> TestNode {
    let path = stores.folder.path().join("actions.toml");
    std::fs::write(&path, format!("{LIMITED}{rule}")).unwrap();
    let set = |it: &mut laurel::config::Config| {
        it.actions.file = path.to_str().unwrap().to_owned();
        it.limits.points_per_hour = 100;
        (it.limits.updates_per_minute, it.limits.inits_per_minute) = (0, 0);
    };
    stores.start_node_with(set).await
}

/// The reported limit, which resets at the time of `Retry-After`.
fn limit(answer: &TestResponse, code: &str) -> (String, Value) {
    answer.assert_refused(429, code);
    let limit = &answer.body["metadata"]["limit"];
    let hlc_us = |it: &Value| it.as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_millisecond();
    let left_ms = hlc_us(&limit["resetsAt"]) - hlc_us(&answer.body["metadata"]["timestamp"]);
    let retry_s: i64 = answer.header("retry-after").parse().unwrap();
    assert_eq!(((left_ms + 999) / 1000).max(1), retry_s, "{}", answer.text);
    (limit["name"].as_str().unwrap().to_owned(), limit["max"].clone())
}

#[tokio::test]
async fn expected_points_and_action_limits_are_reported() {
    let stores = TestStores::new().await;
    let node = limited(&stores, "").await;
    let ada = node.register("ada").await;
    let token = start(&node, &ada).await;
    for (action, expected) in [("cooling", json!([5, 10, 40])), ("daily", json!([1]))] {
        let body = json!({ "actionToken": token, "actionType": action, "points": 7 });
        let answer = node.post("/api/score/update", &ada.token, &body).await;
        answer.assert_refused(400, "INVALID_POINTS");
        assert_eq!(answer.body["message"], "Invalid points value");
        assert_eq!(answer.body["metadata"]["expectedPoints"], expected);
    }
    for (action, named) in [
        ("cooling", "cooldown_ms"),
        ("hourly", "cap_per_hour"),
        ("daily", "cap_per_day"),
        ("both", "cap_per_day"),
    ] {
        let second = node.issue_token(&ada, action).await;
        node.award(&ada, action).await;
        let prove = node.post("/api/v1/action-tokens", &ada.token, &json!({ "actionType": action })).await;
        for refused in [node.init(&ada, action).await, node.finalize(&ada, &second, Value::Null).await, prove]
        {
            let (name, max) = limit(&refused, "ACTION_LIMIT_REACHED");
            // In the last hour of a day both caps reset together, and the first is reported.
            assert!(name == named || (action == "both" && name == "cap_per_hour"), "{}", refused.text);
            assert_eq!(max, Value::Null);
        }
    }
    let rich = node.issue_token(&ada, "rich").await;
    let refused = node.finalize(&ada, &rich, Value::Null).await;
    assert_eq!(limit(&refused, "ACTION_LIMIT_REACHED").0, "points_per_hour");
    assert_ledger_matches(&stores).await;
}

#[tokio::test]
async fn a_closed_action_reports_its_opening_hours() {
    let stores = TestStores::new().await;
    let node = limited(&stores, "").await;
    let hour = node.app.store.now_us().await.unwrap() / 3_600_000_000;
    let (from, to) = (format!("{:02}:30", (hour + 6) % 24), format!("{:02}:15", (hour + 10) % 24));
    let closed = format!(
        "[[action]]\ntype = \"night\"\nnumber = 9\npoints = 1\nproof = {{ kind = \"none\" }}\nopen_hours = \"{from}-{to}\"\n"
    );
    let closed = limited(&stores, &closed).await;
    let ada = closed.register("ada").await;
    let update = json!({ "actionToken": start(&closed, &ada).await, "actionType": "night", "points": 1 });
    for (path, body) in [
        ("/api/v1/actions/init", json!({ "actionType": "night" })),
        ("/api/v1/action-tokens", json!({ "actionType": "night" })),
        ("/api/score/update", update),
    ] {
        let answer = closed.post(path, &ada.token, &body).await;
        answer.assert_refused(400, "INVALID_ACTION");
        assert_eq!(answer.body["metadata"]["openUtc"], json!({ "from": from, "to": to }), "{path}");
    }
}

#[tokio::test]
async fn a_full_rate_window_is_reported() {
    let stores = TestStores::new().await;
    let node = stores
        .start_node_with(|it| {
            (it.limits.updates_per_minute, it.limits.inits_per_minute) = (1, 1);
            (it.limits.starts_per_hour, it.limits.logins_per_minute) = (1, 1);
            (it.limits.registers_per_minute_per_ip, it.limits.logins_per_minute_per_ip) = (2, 2);
        })
        .await;
    let (ada, bob) = (node.register("ada").await, node.register("bob").await);
    let login = |name: &str| json!({ "username": name, "password": "a wrong horse" });
    let taken = json!({ "username": "eve", "email": "eve@example.com", "password": "correct horse" });
    let update = json!({ "actionToken": "act_a1b2c3d4e5f6g7h8i9j0", "actionType": "watch_ad", "points": 10 });
    let prove = json!({ "actionType": "watch_ad" });
    assert_eq!(node.post("/api/v1/action-tokens", &bob.token, &prove).await.status, 201);
    let cases = [
        ("/api/score/update", &ada, update, "updates_per_minute", 1),
        ("/api/v1/actions/finalize", &ada, json!({}), "updates_per_minute", 1),
        ("/api/v1/actions/init", &ada, prove.clone(), "inits_per_minute", 1),
        ("/api/v1/action-tokens", &ada, prove.clone(), "inits_per_minute", 1),
        ("/api/game/start", &ada, json!({}), "starts_per_hour", 1),
        ("/api/auth/login", &ada, login("ada"), "logins_per_minute", 1),
        ("/api/auth/register", &ada, taken, "registers_per_minute_per_ip", 2),
    ];
    for (path, player, body, name, max) in cases {
        node.post(path, &player.token, &body).await;
        // First from the script, then from memory.
        for _ in 0..2 {
            let refused = node.post(path, &player.token, &body).await;
            assert_eq!(limit(&refused, "RATE_LIMIT_EXCEEDED"), (name.to_owned(), json!(max)), "{path}");
            assert_eq!(refused.body["message"], "Rate limit exceeded");
        }
    }
    let from_here = node.post("/api/auth/login", "", &login("carl")).await;
    assert_eq!(limit(&from_here, "RATE_LIMIT_EXCEEDED").0, "logins_per_minute_per_ip");

    let one = |it: &mut laurel::config::Config| it.limits.requests_per_minute_per_user = 1;
    let node = stores.start_node_with(one).await;
    let session = async || {
        let bearer = format!("Bearer {}", bob.token);
        node.send(Method::GET, "/api/game/session", &[("authorization", &bearer)], Vec::new()).await
    };
    session().await;
    assert_eq!(limit(&session().await, "RATE_LIMIT_EXCEEDED").0, "requests_per_minute_per_user");

    let node = stores.start_node().await;
    let too_soon = node.post("/api/v1/action-tokens", &bob.token, &prove).await;
    assert_eq!(limit(&too_soon, "RATE_LIMIT_EXCEEDED").0, "action_interval_seconds");
}
