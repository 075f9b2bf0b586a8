//! References to users: the text alone decides whether one is a number, a UUID or a name.

use serde_json::{Value, json};
use uuid::Uuid;

use super::admin::create_admin;
use crate::harness::{Player, TestNode, TestResponse, TestStores, assert_ledger_matches};

/// Encodes the braces of a UUID for a URL.
fn encode(path: &str) -> String {
    path.replace('{', "%7B").replace('}', "%7D")
}

async fn get(node: &TestNode, root: &Player, path: &str) -> TestResponse {
    node.get_as(root, &encode(&format!("/api/admin/{path}"))).await
}

async fn register(node: &TestNode, username: &str) -> TestResponse {
    let body = json!({ "username": username, "email": format!("{}@example.com", Uuid::new_v4()), "password": "correct horse" });
    node.post("/api/auth/register", "", &body).await
}

/// Two accounts, each named like the other's number or UUID, could not be banned or adjusted.
#[tokio::test]
async fn usernames_cannot_hide_other_users() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let root = create_admin(&node).await;
    let (honest, cheat) = (node.register("honest").await, node.register("cheat").await);
    node.award(&cheat, "complete_level").await;
    let (id, number) = (cheat.identity.user, cheat.identity.number);
    for name in [
        honest.identity.number.to_string().as_str(),
        &format!("00{number}"),
        &format!("{number:0>50}"),
        &id.to_string(),
        &id.to_string().to_uppercase(),
        &id.simple().to_string(),
        "10.20.30.40",
    ] {
        // A number of one or two digits is too short for a name.
        let refused = register(&node, name).await;
        refused.assert_refused(400, "VALIDATION_ERROR");
        assert_eq!(refused.fields(), ["username"], "{name}");
        let problem = refused.body["metadata"]["fields"][0]["problem"].as_str().unwrap_or_default();
        assert!(name.len() < 3 || refused.text.contains("add a letter or _ in front"), "{problem}");
        if name.len() < 50 && name.len() > 2 {
            // Two of the names differ only in case, so the second is taken.
            let registered = register(&node, &format!("_{name}")).await;
            assert!([201, 409].contains(&registered.status), "{}", registered.text);
        }
    }
    let references = [
        number.to_string(),
        format!("000{number}"),
        id.to_string(),
        id.to_string().to_uppercase(),
        id.simple().to_string(),
        format!("{{{id}}}"),
        format!("urn:uuid:{id}"),
        "cheat".to_owned(),
        "CHEAT".to_owned(),
    ];
    for reference in &references {
        for path in ["users/{}", "users/{}/history", "suspects/{}"] {
            let response = get(&node, &root, &path.replace("{}", reference)).await;
            assert_eq!(response.status, 200, "{reference}: {}", response.text);
            let data = &response.body["data"];
            assert!(
                path.ends_with("history") || data["username"] == "cheat",
                "{reference}: {}",
                response.text
            );
        }
        let path = format!("/api/admin/users/{}/adjust", encode(reference));
        let adjusted = node.post(&path, &root.token, &json!({ "points": 1, "reason": "x" })).await;
        assert_eq!(adjusted.body["data"]["username"], "cheat", "{}", adjusted.text);
        if reference.parse::<Uuid>().is_ok() || reference.parse::<i64>().is_ok() {
            let path = format!("/api/scoreboard/user/{}", encode(reference));
            let score = node.get_as(&honest, &path).await;
            assert_eq!(score.body["data"]["userId"], number, "{}", score.text);
        }
        let found = get(&node, &root, &format!("users?search={reference}")).await;
        assert_eq!(found.body["data"]["users"][0]["username"], "cheat", "{reference}: {}", found.text);
    }
    let ban = format!("/api/admin/users/{number}/ban");
    assert_eq!(node.post(&ban, &root.token, &json!({ "reason": "x" })).await.status, 200);
    node.init(&cheat, "watch_ad").await.assert_refused(403, "FORBIDDEN");
    assert_eq!(node.award(&honest, "watch_ad").await.status, 200);
    for nobody in ["0", "00", "99999", "99999999999999999999", "1.2.3.4", "%20", "+1"] {
        let response = get(&node, &root, &format!("users/{nobody}")).await;
        response.assert_refused(404, "USER_NOT_FOUND");
        assert_eq!(response.body["data"], Value::Null);
    }
    assert_ledger_matches(&stores).await;
}
