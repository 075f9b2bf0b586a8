//! `metadata` of an error has what a client needs to correct its request. Of several errors, the first in the documented order is
//! returned.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Player, TestNode, TestResponse, TestStores, assert_ledger_matches};

/// Starts a game. Returns its first token.
async fn start_game(node: &TestNode, player: &Player) -> Value {
    let started = node.start_game(player).await;
    assert_eq!(started.status, 200, "{}", started.text);
    started.body["data"]["actionToken"].clone()
}

/// Posts a score update with a login and a body that may be invalid.
async fn update_score(node: &TestNode, login: &str, body: &str) -> TestResponse {
    let bearer = format!("Bearer {login}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    node.send(Method::POST, "/api/score/update", &headers, body.as_bytes().to_vec()).await
}

#[tokio::test]
async fn the_first_failed_check_is_reported() {
    let stores = TestStores::new().await;
    let node = stores.start_node_with(|config| config.limits.updates_per_minute = 0).await;
    let ada = node.register("ada").await;
    let token = start_game(&node, &ada).await;
    let unknown = "act_a1b2c3d4e5f6g7h8i9j0";
    let body = |token: &str, action: &str, points: &str| {
        format!("{{\"actionToken\":\"{token}\",\"actionType\":\"{action}\",\"points\":{points}}}")
    };
    let by_ada = |body: String, code| (ada.token.as_str(), body, code);
    let mut cases = vec![
        ("", body("x", "print_money", "\"top\""), "UNAUTHORIZED"),
        ("a.b.c", body("x", "print_money", "\"top\""), "INVALID_TOKEN"),
        by_ada(body("x", "print_money", "\"top\""), "VALIDATION_ERROR"),
        by_ada(body("x", "print_money", "null"), "VALIDATION_ERROR"),
        by_ada(body("x", "print_money", "-10").replace('}', ",\"score\":1}"), "VALIDATION_ERROR"),
        by_ada(body("x", "print_money", "-10"), "INVALID_TOKEN"),
        by_ada(body("", "print_money", "1e400"), "INVALID_TOKEN"),
        by_ada(body(unknown, "print_money", "-10"), "INVALID_ACTION"),
        by_ada(body(unknown, "demo_quiz", "0.5"), "INVALID_ACTION"),
        by_ada(body(unknown, "watch_ad", "10"), "INVALID_TOKEN"),
    ];
    let points = ["-10", "0", "-0.0", "9", "10.5", "1e2", "10.000001", "-1e400", "1e400", "9007199254740993"];
    cases.extend(
        points.map(|value| by_ada(body(token.as_str().unwrap(), "watch_ad", value), "INVALID_POINTS")),
    );
    for (login, body, code) in cases {
        let response = update_score(&node, login, &body).await;
        assert_eq!(response.code(), code, "{body}: {}", response.text);
    }
    let good = body(token.as_str().unwrap(), "watch_ad", "1.0e1");
    assert_eq!(
        update_score(&node, &ada.token, &good).await.body["data"]["newScore"],
        10,
        "no token was spent"
    );
    for (body, code) in [
        (json!({ "antiSpamToken": "a.b.c", "actionId": 999 }), "INVALID_TOKEN"),
        (json!({ "antiSpamToken": "a.b.c", "actionType": "print_money", "actionId": 1 }), "INVALID_TOKEN"),
        (json!({ "actionId": 999 }), "INVALID_ACTION"),
        (json!({ "actionId": 1, "actionType": "solve_puzzle" }), "INVALID_ACTION"),
        (json!({ "actionId": -1 }), "VALIDATION_ERROR"),
    ] {
        let response = node.prove(&ada, &body).await;
        assert_eq!(response.code(), code, "{body}: {}", response.text);
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
            let response = node.get_with(path, "", &[("authorization", &header)]).await;
            response.assert_refused(401, "UNAUTHORIZED");
            assert_eq!(response.body["message"], "No access token provided");
            assert_eq!(response.body["metadata"]["expected"], "Authorization: Bearer <access token>");
            assert!(!response.text.contains(&ada.token));
        }
    }
}

/// The action types that are available in one of these flows.
async fn available_in(node: &TestNode, flows: &[&str]) -> BTreeSet<String> {
    let catalogue = node.get("/api/v1/actions").await;
    let is_available =
        |action: &&Value| flows.iter().any(|flow| action["flows"].as_array().unwrap().contains(&json!(flow)));
    let available = catalogue.body["actions"].as_array().unwrap().iter().filter(is_available);
    available.map(|action| action["actionType"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn an_unavailable_action_lists_the_available_ones() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let ada = node.register("ada").await;
    let token = start_game(&node, &ada).await;
    let update = |action: &str| json!({ "actionToken": token, "actionType": action, "points": 10 });
    for (path, body, flows) in [
        ("/api/v1/actions/init", json!({ "actionType": "print_money" }), &["actions", "tokens"][..]),
        ("/api/v1/actions/init", json!({ "actionType": "" }), &["actions", "tokens"]),
        ("/api/v1/action-tokens", json!({ "actionType": "Watch_Ad" }), &["tokens"]),
        ("/api/v1/action-tokens", json!({ "actionId": 999 }), &["tokens"]),
        ("/api/score/update", update("print_money"), &["game"]),
        ("/api/score/update", update("demo_quiz"), &["game"]),
    ] {
        let response = node.post(path, &ada.token, &body).await;
        response.assert_refused(400, "INVALID_ACTION");
        assert_eq!(response.body["message"], "Invalid action type");
        let valid: BTreeSet<String> =
            serde_json::from_value(response.body["metadata"]["validActionTypes"].clone()).unwrap();
        assert_eq!(valid, available_in(&node, flows).await, "{path} {body}");
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

/// Starts a node with these actions and further ones.
async fn start_node_with_limits(stores: &TestStores, more: &str) -> TestNode {
    let path = stores.write_catalogue(&format!("{LIMITED}{more}"));
    let set = |config: &mut laurel::config::Config| {
        config.actions.file = path;
        config.limits.points_per_hour = 100;
        (config.limits.updates_per_minute, config.limits.inits_per_minute) = (0, 0);
    };
    stores.start_node_with(set).await
}

/// The name and size of the reported limit. Checks that it resets when `Retry-After` ends.
fn reported_limit(response: &TestResponse, code: &str) -> (String, Value) {
    response.assert_refused(429, code);
    let limit = &response.body["metadata"]["limit"];
    let time_ms = |time: &Value| time.as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_millisecond();
    let left_ms = time_ms(&limit["resetsAt"]) - time_ms(&response.body["metadata"]["timestamp"]);
    let retry_s: i64 = response.header("retry-after").parse().unwrap();
    assert_eq!(((left_ms + 999) / 1000).max(1), retry_s, "{}", response.text);
    (limit["name"].as_str().unwrap().to_owned(), limit["max"].clone())
}

#[tokio::test]
async fn expected_points_and_action_limits_are_reported() {
    let stores = TestStores::new().await;
    let node = start_node_with_limits(&stores, "").await;
    let ada = node.register("ada").await;
    let token = start_game(&node, &ada).await;
    for (action, expected) in [("cooling", json!([5, 10, 40])), ("daily", json!([1]))] {
        let body = json!({ "actionToken": token, "actionType": action, "points": 7 });
        let response = node.update_score(&ada, &body).await;
        response.assert_refused(400, "INVALID_POINTS");
        assert_eq!(response.body["message"], "Invalid points value");
        assert_eq!(response.body["metadata"]["expectedPoints"], expected);
    }
    for (action, named) in [
        ("cooling", "cooldown_ms"),
        ("hourly", "cap_per_hour"),
        ("daily", "cap_per_day"),
        ("both", "cap_per_day"),
    ] {
        let second = node.issue_token(&ada, action).await;
        node.award(&ada, action).await;
        let prove = node.prove(&ada, &json!({ "actionType": action })).await;
        for refused in [node.init(&ada, action).await, node.finalize(&ada, &second, Value::Null).await, prove]
        {
            let (name, max) = reported_limit(&refused, "ACTION_LIMIT_REACHED");
            // In the last hour of a day both caps reset at once, and the hourly one is reported.
            assert!(name == named || (action == "both" && name == "cap_per_hour"), "{}", refused.text);
            assert_eq!(max, Value::Null);
        }
    }
    let rich = node.issue_token(&ada, "rich").await;
    let refused = node.finalize(&ada, &rich, Value::Null).await;
    assert_eq!(reported_limit(&refused, "ACTION_LIMIT_REACHED").0, "points_per_hour");
    assert_ledger_matches(&stores).await;
}

#[tokio::test]
async fn a_closed_action_reports_its_opening_hours() {
    let stores = TestStores::new().await;
    let node = start_node_with_limits(&stores, "").await;
    let hour = node.app.store.now_us().await.unwrap() / 3_600_000_000;
    let (from, to) = (format!("{:02}:30", (hour + 6) % 24), format!("{:02}:15", (hour + 10) % 24));
    let action = format!(
        "[[action]]\ntype = \"night\"\nnumber = 9\npoints = 1\nproof = {{ kind = \"none\" }}\nopen_hours = \"{from}-{to}\"\n"
    );
    let closed = start_node_with_limits(&stores, &action).await;
    let ada = closed.register("ada").await;
    let update =
        json!({ "actionToken": start_game(&closed, &ada).await, "actionType": "night", "points": 1 });
    for (path, body) in [
        ("/api/v1/actions/init", json!({ "actionType": "night" })),
        ("/api/v1/action-tokens", json!({ "actionType": "night" })),
        ("/api/score/update", update),
    ] {
        let response = closed.post(path, &ada.token, &body).await;
        response.assert_refused(400, "INVALID_ACTION");
        assert_eq!(response.body["metadata"]["openUtc"], json!({ "from": from, "to": to }), "{path}");
    }
}

#[tokio::test]
async fn a_full_rate_window_is_reported() {
    let stores = TestStores::new().await;
    let node = stores
        .start_node_with(|config| {
            (config.limits.updates_per_minute, config.limits.inits_per_minute) = (1, 1);
            (config.limits.starts_per_hour, config.limits.logins_per_minute) = (1, 1);
            (config.limits.registers_per_minute_per_ip, config.limits.logins_per_minute_per_ip) = (2, 2);
        })
        .await;
    let (ada, bob) = (node.register("ada").await, node.register("bob").await);
    let login = |name: &str| json!({ "username": name, "password": "a wrong horse" });
    let registration = json!({ "username": "eve", "email": "eve@example.com", "password": "correct horse" });
    let update = json!({ "actionToken": "act_a1b2c3d4e5f6g7h8i9j0", "actionType": "watch_ad", "points": 10 });
    let prove = json!({ "actionType": "watch_ad" });
    assert_eq!(node.prove(&bob, &prove).await.status, 201);
    let cases = [
        ("/api/score/update", &ada, update, "updates_per_minute", 1),
        ("/api/v1/actions/finalize", &ada, json!({}), "updates_per_minute", 1),
        ("/api/v1/actions/init", &ada, prove.clone(), "inits_per_minute", 1),
        ("/api/v1/action-tokens", &ada, prove.clone(), "inits_per_minute", 1),
        ("/api/game/start", &ada, json!({}), "starts_per_hour", 1),
        ("/api/auth/login", &ada, login("ada"), "logins_per_minute", 1),
        ("/api/auth/register", &ada, registration, "registers_per_minute_per_ip", 2),
    ];
    for (path, player, body, name, max) in cases {
        node.post(path, &player.token, &body).await;
        // The script reports the first, the node's memory the second.
        for _ in 0..2 {
            let refused = node.post(path, &player.token, &body).await;
            assert_eq!(
                reported_limit(&refused, "RATE_LIMIT_EXCEEDED"),
                (name.to_owned(), json!(max)),
                "{path}"
            );
            assert_eq!(refused.body["message"], "Rate limit exceeded");
        }
    }
    let refused = node.post("/api/auth/login", "", &login("carl")).await;
    assert_eq!(reported_limit(&refused, "RATE_LIMIT_EXCEEDED").0, "logins_per_minute_per_ip");

    let node = stores.start_node_with(|config| config.limits.requests_per_minute_per_user = 1).await;
    node.get_as(&bob, "/api/game/session").await;
    assert_eq!(
        reported_limit(&node.get_as(&bob, "/api/game/session").await, "RATE_LIMIT_EXCEEDED").0,
        "requests_per_minute_per_user"
    );

    let node = stores.start_node().await;
    let too_soon = node.prove(&bob, &prove).await;
    assert_eq!(reported_limit(&too_soon, "RATE_LIMIT_EXCEEDED").0, "action_interval_seconds");
}
