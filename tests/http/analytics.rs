//! Statistics, user search and user history of the admin API.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use reqwest::Method;
use serde_json::{Value, json};

use super::admin::admin;
use crate::harness::{Player, TestNode, TestResponse, TestStores, eventually};

async fn ask(node: &TestNode, root: &Player, path: &str) -> TestResponse {
    let bearer = format!("Bearer {}", root.token);
    node.send(Method::GET, &format!("/api/admin/{path}"), &[("authorization", &bearer)], Vec::new()).await
}

async fn read(node: &TestNode, root: &Player, path: &str) -> Value {
    let answer = ask(node, root, path).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.body["data"].clone()
}

/// Waits until the rollups are complete.
async fn summed_up(node: &TestNode) {
    node.wait_for_ledger().await;
    while laurel::ledger::roll_up(&node.app.ledger, true).await.unwrap() {}
}

fn sum(rows: &Value, name: &str) -> i64 {
    rows.as_array().unwrap().iter().map(|it| it[name].as_i64().unwrap()).sum()
}

#[tokio::test]
async fn activity_is_summarized() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let root = admin(&node).await;
    let (ada, bob) = (node.register("ada").await, node.register("bob").await);
    for (player, action) in [(&ada, "watch_ad"), (&ada, "solve_puzzle"), (&bob, "complete_level")] {
        node.award(player, action).await;
    }
    let quiz = node.issue_token(&bob, "demo_quiz").await;
    node.finalize(&bob, &quiz, json!({ "quizResult": "?" })).await.assert_refused(422, "PROOF_INVALID");
    let game = node.post("/api/game/start", &ada.token, &json!({})).await;
    let token = &game.body["data"]["actionToken"];
    let update = json!({ "actionToken": token, "actionType": "watch_ad", "points": 10 });
    assert_eq!(node.post("/api/score/update", &ada.token, &update).await.status, 200);
    assert_eq!(node.post("/api/game/end", &ada.token, &json!({})).await.status, 200);
    // Adjustments are not activity.
    let adjust = json!({ "points": 500, "reason": "a prize" });
    assert_eq!(node.post("/api/admin/users/bob/adjust", &root.token, &adjust).await.status, 200);
    summed_up(&node).await;

    let seen = eventually("refusals to be written", async || {
        let seen = read(&node, &root, "activity?hours=3").await;
        seen["rows"].to_string().contains("PROOF_INVALID").then_some(seen)
    })
    .await;
    let summary = &seen["summary"];
    for (name, wanted) in
        [("awards", 4), ("points", 55), ("activeUsers", 2), ("newUsers", 3), ("sessions", 1)]
    {
        assert_eq!(summary[name], wanted, "{name}: {summary}");
    }
    assert_eq!((&summary["actionsPerSession"], seen["rows"].as_array().unwrap().len()), (&json!(1.0), 3));
    assert_eq!((sum(&seen["rows"], "awards"), sum(&seen["rows"], "points")), (4, 55));
    assert!(summary["refusals"].as_i64().unwrap() >= 1);
    let days = read(&node, &root, "activity?hours=72&step=day").await;
    assert_eq!((days["rows"].as_array().unwrap().len(), sum(&days["rows"], "awards")), (3, 4));
    assert!(days["rows"][0]["at"].as_str().unwrap().ends_with("T00:00:00.000Z"));
    assert_eq!(days["summary"]["activeUsers"], 2);

    for period in ["hour", "day", "week", "month"] {
        let busiest = read(&node, &root, &format!("most-active?period={period}")).await;
        let users: Vec<_> =
            busiest["users"].as_array().unwrap().iter().map(|it| (&it["username"], &it["awards"])).collect();
        // The hour may have just changed.
        if !users.is_empty() {
            assert_eq!(users, [(&json!("ada"), &json!(3)), (&json!("bob"), &json!(1))], "{period}");
        }
    }
    let peaks = read(&node, &root, "peak-hours?days=7").await;
    let now = Timestamp::from_millisecond(stores.clock.now_ms()).unwrap().to_zoned(TimeZone::UTC);
    let today = &peaks["awards"][now.weekday().to_monday_zero_offset() as usize];
    let hours: i64 = today.as_array().unwrap().iter().map(|it| it.as_i64().unwrap()).sum();
    assert!(hours == 4 && today[now.hour() as usize].as_i64() > Some(0) || now.minute() == 0, "{peaks}");

    let scores = read(&node, &root, "scores").await;
    let buckets: Vec<Value> = (0..11)
        .map(|it| json!({ "from": it * 50, "to": (it + 1) * 50, "users": i32::from(it == 0 || it == 10) }))
        .collect();
    assert_eq!(scores["buckets"], json!(buckets));
    assert_eq!(
        (&scores["users"], &scores["percentiles"]),
        (&json!(2), &json!({ "p50": 35, "p90": 520, "p99": 520, "max": 520 }))
    );
    let sessions = read(&node, &root, "sessions?days=2").await;
    assert_eq!((&sessions["sessions"], &sessions["actionsPerSession"]), (&json!(1), &json!(1.0)));
    assert_eq!(sessions["buckets"][1], json!({ "actions": 1, "sessions": 1 }));
    let report = read(&node, &root, "users/ada").await;
    assert_eq!((&report["awards"], &report["rank"], &report["score"]), (&json!(3), &json!(2), &json!(35)));
    assert!(report["lastAt"].as_str() >= report["createdAt"].as_str());
}

#[tokio::test]
async fn users_are_found_by_name_number_uuid_or_email() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let root = admin(&node).await;
    let mut all = BTreeMap::new();
    for name in ["Ada", "ada_1", "adam", "a.da", "Bob", "Nevada"] {
        all.insert(name, node.register(name).await);
    }
    let number = all["Bob"].identity.number;
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
        (&all["adam"].identity.user.to_string(), vec!["adam"]),
    ];
    for (text, wanted) in cases {
        // On one page, and on pages of any size.
        for limit in [100, 1, 2, 3] {
            let (mut names, mut query) = (Vec::new(), format!("users?search={text}&limit={limit}"));
            loop {
                let page = read(&node, &root, &query).await;
                assert_eq!(page["total"], wanted.len(), "{text}");
                let users = page["users"].as_array().unwrap();
                assert!(users.len() <= limit);
                names.extend(users.iter().map(|it| it["username"].as_str().unwrap().to_owned()));
                let Some(next) = page["next"].as_i64() else { break };
                query = format!("users?search={text}&limit={limit}&after={next}");
            }
            assert_eq!(names, wanted, "{text}, {limit} a page");
        }
    }
    let bad = ask(&node, &root, "users?limit=0&search=a&search=b&x=1&after=-1").await;
    bad.assert_refused(400, "VALIDATION_ERROR");
    assert_eq!(bad.fields(), ["search", "after", "limit", "x"]);
}

#[tokio::test]
async fn history_pages_are_complete() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let root = admin(&node).await;
    let ada = node.register("ada").await;
    for _ in 0..3 {
        node.award(&ada, "watch_ad").await;
        let quiz = node.issue_token(&ada, "demo_quiz").await;
        node.finalize(&ada, &quiz, json!({ "quizResult": "?" })).await;
        node.issue_token(&ada, "watch_ad").await;
        node.post("/api/game/start", &ada.token, &json!({})).await;
        let because = json!({ "reason": "because", "points": 1 });
        node.post("/api/admin/users/ada/adjust", &root.token, &because).await;
        node.post("/api/admin/users/ada/ban", &root.token, &json!({ "reason": "because" })).await;
        node.post("/api/admin/users/ada/unban", &root.token, &json!({ "reason": "because" })).await;
    }
    node.wait_for_ledger().await;
    // Give all events the same time: pages must still be complete.
    let tie = "UPDATE user_action SET created_at = date_trunc('second', now()) WHERE completed_at IS NULL;
               UPDATE game_sessions SET created_at = date_trunc('second', now());
               ALTER TABLE admin_audit DISABLE TRIGGER admin_audit_kept;
               UPDATE admin_audit SET created_at = date_trunc('second', now())";
    sqlx::raw_sql(tie).execute(&node.app.database).await.unwrap();
    let whole = read(&node, &root, "users/ada/history?limit=200").await;
    assert_eq!(whole["next"], Value::Null);
    let whole = whole["events"].as_array().unwrap();
    let mut kinds = BTreeMap::new();
    for event in whole {
        *kinds.entry(event["kind"].as_str().unwrap()).or_insert(0) += 1;
    }
    let wanted = [("adjustment", 3), ("admin", 6), ("award", 3), ("open", 3), ("refused", 3), ("session", 3)];
    assert_eq!(kinds, wanted.into());
    for limit in 1..=8 {
        let (mut pages, mut query) = (Vec::new(), format!("limit={limit}"));
        loop {
            let page = read(&node, &root, &format!("users/ada/history?{query}")).await;
            let events = page["events"].as_array().unwrap();
            assert!(events.len() <= limit);
            pages.extend(events.clone());
            let Some(next) = page["next"].as_str() else { break };
            query = format!("limit={limit}&before={next}");
        }
        assert_eq!(&pages, whole, "{limit} per page");
    }
    for wrong in ["before=", "before=AAAA", "before=LTEuMS54", "limit=201"] {
        ask(&node, &root, &format!("users/ada/history?{wrong}"))
            .await
            .assert_refused(400, "VALIDATION_ERROR");
    }
}
