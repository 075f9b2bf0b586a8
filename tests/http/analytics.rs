//! Statistics, user search and user history of the admin API.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::admin::create_admin;
use crate::harness::{Player, TestNode, TestResponse, TestStores, eventually};

async fn get(node: &TestNode, root: &Player, path: &str) -> TestResponse {
    node.get_as(root, &format!("/api/admin/{path}")).await
}

/// The data of a successful response.
async fn get_data(node: &TestNode, root: &Player, path: &str) -> Value {
    let response = get(node, root, path).await;
    assert_eq!(response.status, 200, "{}", response.text);
    response.body["data"].clone()
}

/// Completes the rollups.
async fn roll_up(node: &TestNode) {
    node.wait_for_ledger().await;
    while laurel::ledger::roll_up(&node.app.ledger, true).await.unwrap() {}
}

fn sum(rows: &Value, name: &str) -> i64 {
    rows.as_array().unwrap().iter().map(|row| row[name].as_i64().unwrap()).sum()
}

#[tokio::test]
async fn activity_is_summarized() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let root = create_admin(&node).await;
    let (ada, bob) = (node.register("ada").await, node.register("bob").await);
    for (player, action) in [(&ada, "watch_ad"), (&ada, "solve_puzzle"), (&bob, "complete_level")] {
        node.award(player, action).await;
    }
    let quiz = node.issue_token(&bob, "demo_quiz").await;
    node.finalize(&bob, &quiz, json!({ "quizResult": "?" })).await.assert_refused(422, "PROOF_INVALID");
    let game = node.start_game(&ada).await;
    let token = &game.body["data"]["actionToken"];
    let update = json!({ "actionToken": token, "actionType": "watch_ad", "points": 10 });
    assert_eq!(node.update_score(&ada, &update).await.status, 200);
    assert_eq!(node.end_game(&ada).await.status, 200);
    // Adjustments are not activity.
    let adjust = json!({ "points": 500, "reason": "a prize" });
    assert_eq!(node.post("/api/admin/users/bob/adjust", &root.token, &adjust).await.status, 200);
    roll_up(&node).await;

    let activity = eventually("refusals to be written", async || {
        let activity = get_data(&node, &root, "activity?hours=3").await;
        activity["rows"].to_string().contains("PROOF_INVALID").then_some(activity)
    })
    .await;
    let summary = &activity["summary"];
    for (name, expected) in
        [("awards", 4), ("points", 55), ("activeUsers", 2), ("newUsers", 3), ("sessions", 1)]
    {
        assert_eq!(summary[name], expected, "{name}: {summary}");
    }
    assert_eq!((&summary["actionsPerSession"], activity["rows"].as_array().unwrap().len()), (&json!(1.0), 3));
    assert_eq!((sum(&activity["rows"], "awards"), sum(&activity["rows"], "points")), (4, 55));
    assert!(summary["refusals"].as_i64().unwrap() >= 1);
    let days = get_data(&node, &root, "activity?hours=72&step=day").await;
    assert_eq!((days["rows"].as_array().unwrap().len(), sum(&days["rows"], "awards")), (3, 4));
    assert!(days["rows"][0]["at"].as_str().unwrap().ends_with("T00:00:00.000Z"));
    assert_eq!(days["summary"]["activeUsers"], 2);

    for period in ["hour", "day", "week", "month"] {
        let busiest = get_data(&node, &root, &format!("most-active?period={period}")).await;
        let users: Vec<_> = busiest["users"]
            .as_array()
            .unwrap()
            .iter()
            .map(|user| (&user["username"], &user["awards"]))
            .collect();
        // The hour may have changed just now.
        if !users.is_empty() {
            assert_eq!(users, [(&json!("ada"), &json!(3)), (&json!("bob"), &json!(1))], "{period}");
        }
    }
    let peaks = get_data(&node, &root, "peak-hours?days=7").await;
    let now = Timestamp::from_millisecond(stores.clock.now_ms()).unwrap().to_zoned(TimeZone::UTC);
    let today = &peaks["awards"][now.weekday().to_monday_zero_offset() as usize];
    let hours: i64 = today.as_array().unwrap().iter().map(|count| count.as_i64().unwrap()).sum();
    assert!(hours == 4 && today[now.hour() as usize].as_i64() > Some(0) || now.minute() == 0, "{peaks}");

    let scores = get_data(&node, &root, "scores").await;
    let buckets: Vec<Value> = (0..11)
        .map(|index| json!({ "from": index * 50, "to": (index + 1) * 50, "users": i32::from(index == 0 || index == 10) }))
        .collect();
    assert_eq!(scores["buckets"], json!(buckets));
    assert_eq!(
        (&scores["users"], &scores["percentiles"]),
        (&json!(2), &json!({ "p50": 35, "p90": 520, "p99": 520, "max": 520 }))
    );
    let sessions = get_data(&node, &root, "sessions?days=2").await;
    assert_eq!((&sessions["sessions"], &sessions["actionsPerSession"]), (&json!(1), &json!(1.0)));
    assert_eq!(sessions["buckets"][1], json!({ "actions": 1, "sessions": 1 }));
    let report = get_data(&node, &root, "users/ada").await;
    assert_eq!((&report["awards"], &report["rank"], &report["score"]), (&json!(3), &json!(2), &json!(35)));
    assert!(report["lastAt"].as_str() >= report["createdAt"].as_str());
}

#[tokio::test]
async fn users_are_found_by_name_number_uuid_or_email() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let root = create_admin(&node).await;
    let mut players = BTreeMap::new();
    for name in ["Ada", "ada_1", "adam", "a.da", "Bob", "Nevada"] {
        players.insert(name, node.register(name).await);
    }
    let number = players["Bob"].identity.number;
    let cases = [
        ("ada", vec!["Ada", "ada_1", "adam", "Nevada"]),
        ("AD", vec!["Ada", "ada_1", "adam", "Nevada"]),
        ("ADA_", vec!["ada_1"]),
        ("a_1", vec!["ada_1"]),
        ("da", vec!["a.da", "Ada", "ada_1", "adam", "Nevada"]),
        ("evad", vec!["Nevada"]),
        (".", vec!["a.da"]),
        ("a%25", vec![]),
        ("a%5c", vec![]),
        ("_", vec!["ada_1"]),
        ("a_a", vec![]),
        ("BOB@example.COM", vec!["Bob"]),
        ("example.com", vec![]),
        ("", vec!["Nevada", "Bob", "a.da", "adam", "ada_1", "Ada", "root"]),
        ("%20", vec!["Nevada", "Bob", "a.da", "adam", "ada_1", "Ada", "root"]),
        ("%00", vec![]),
        (&number.to_string(), vec!["Bob"]),
        (&players["adam"].identity.user.to_string(), vec!["adam"]),
    ];
    for (text, expected) in cases {
        // All users fit on one page, or need several.
        for limit in [100, 1, 2, 3] {
            let (mut names, mut query) = (Vec::new(), format!("users?search={text}&limit={limit}"));
            loop {
                let page = get_data(&node, &root, &query).await;
                assert_eq!(page["total"], expected.len(), "{text}");
                let users = page["users"].as_array().unwrap();
                assert!(users.len() <= limit);
                names.extend(users.iter().map(|user| user["username"].as_str().unwrap().to_owned()));
                let Some(next) = page["next"].as_i64() else { break };
                query = format!("users?search={text}&limit={limit}&after={next}");
            }
            assert_eq!(names, expected, "{text}, {limit} per page");
        }
    }
    let refused = get(&node, &root, "users?limit=0&search=a&search=b&x=1&after=-1").await;
    refused.assert_refused(400, "VALIDATION_ERROR");
    assert_eq!(refused.fields(), ["search", "after", "limit", "x"]);
}

#[tokio::test]
async fn history_pages_list_every_event_once() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let root = create_admin(&node).await;
    let ada = node.register("ada").await;
    for _ in 0..3 {
        node.award(&ada, "watch_ad").await;
        let quiz = node.issue_token(&ada, "demo_quiz").await;
        node.finalize(&ada, &quiz, json!({ "quizResult": "?" })).await;
        node.issue_token(&ada, "watch_ad").await;
        node.start_game(&ada).await;
        let adjust = json!({ "reason": "because", "points": 1 });
        node.post("/api/admin/users/ada/adjust", &root.token, &adjust).await;
        node.post("/api/admin/users/ada/ban", &root.token, &json!({ "reason": "because" })).await;
        node.post("/api/admin/users/ada/unban", &root.token, &json!({ "reason": "because" })).await;
    }
    node.wait_for_ledger().await;
    // Events at the same time must not be lost between two pages.
    let same_time =
        "UPDATE user_action SET created_at = date_trunc('second', now()) WHERE completed_at IS NULL;
               UPDATE game_sessions SET created_at = date_trunc('second', now());
               ALTER TABLE admin_audit DISABLE TRIGGER admin_audit_kept;
               UPDATE admin_audit SET created_at = date_trunc('second', now())";
    sqlx::raw_sql(same_time).execute(&node.app.database).await.unwrap();
    let history = get_data(&node, &root, "users/ada/history?limit=200").await;
    assert_eq!(history["next"], Value::Null);
    let all = history["events"].as_array().unwrap();
    let mut kinds = BTreeMap::new();
    for event in all {
        *kinds.entry(event["kind"].as_str().unwrap()).or_insert(0) += 1;
    }
    let expected =
        [("adjustment", 3), ("admin", 6), ("award", 3), ("open", 3), ("refused", 3), ("session", 3)];
    assert_eq!(kinds, expected.into());
    for limit in 1..=8 {
        let (mut pages, mut query) = (Vec::new(), format!("limit={limit}"));
        loop {
            let page = get_data(&node, &root, &format!("users/ada/history?{query}")).await;
            let events = page["events"].as_array().unwrap();
            assert!(events.len() <= limit);
            pages.extend(events.clone());
            let Some(next) = page["next"].as_str() else { break };
            query = format!("limit={limit}&before={next}");
        }
        assert_eq!(&pages, all, "{limit} per page");
    }
    for query in ["before=", "before=AAAA", "before=LTEuMS54", "limit=201"] {
        get(&node, &root, &format!("users/ada/history?{query}"))
            .await
            .assert_refused(400, "VALIDATION_ERROR");
    }
}
