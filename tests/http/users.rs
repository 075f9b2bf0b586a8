//! Public profiles, award histories, and the caller's own profile.

use serde_json::{Value, json};
use uuid::Uuid;

use super::admin::{apply, create_admin};
use crate::harness::{Player, TestNode, TestStores, eventually};

/// The event ids of a page, and its cursor.
async fn page(node: &TestNode, player: &Player, query: &str) -> (Vec<String>, Option<String>) {
    let response = node.get(&format!("/api/v1/users/{}/history{query}", player.identity.user)).await;
    assert_eq!(response.status, 200, "{}", response.text);
    let entries = response.body["entries"].as_array().unwrap();
    let ids = entries.iter().map(|entry| entry["eventId"].as_str().unwrap().to_owned()).collect();
    (ids, response.body.get("next").map(|next| next.as_str().unwrap().to_owned()))
}

#[tokio::test]
async fn profiles_and_histories_show_only_what_is_public() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let root = create_admin(&node).await;
    let (ada, bob) = (node.register("Ada").await, node.register("bob").await);
    node.award(&ada, "watch_ad").await;
    node.award(&bob, "complete_level").await;
    let (id, number) = (ada.identity.user, ada.identity.number);
    let path = format!("/api/v1/users/{id}");
    let first = node.get(&path).await;
    let created_at = first.body["createdAt"].as_str().unwrap();
    assert!(
        (created_at.parse::<jiff::Timestamp>().unwrap().as_millisecond() - stores.clock.now_ms()).abs()
            < 600_000
    );
    let mut profile = json!({
        "userId": id, "username": "Ada", "displayName": "Ada", "createdAt": created_at, "score": 10, "rank": 2,
    });
    assert_eq!(first.body, profile);
    for reference in [number.to_string(), format!("00{number}"), id.to_string().to_uppercase()] {
        assert_eq!(node.get(&format!("/api/v1/users/{reference}")).await.body, profile);
    }
    let new = node.get(&format!("/api/v1/users/{}", root.identity.number)).await;
    assert_eq!((&new.body["score"], &new.body["rank"]), (&json!(0), &Value::Null));

    // Players see more of themselves.
    let own = |role: &str, mut profile: Value, player: &Player| {
        let email = format!("{}@example.com", player.identity.username);
        profile["number"] = player.identity.number.into();
        profile["roles"] = json!([role]);
        profile["email"] = email.into();
        profile
    };
    assert_eq!(node.get_as(&ada, "/api/v1/me").await.body, own("player", profile.clone(), &ada));
    assert_eq!(node.get_as(&root, "/api/v1/me").await.body, own("admin", new.body, &root));
    node.get("/api/v1/me").await.assert_refused(401, "UNAUTHORIZED");

    node.wait_for_ledger().await;
    let history = format!("{path}/history");
    let before = node.get(&history).await;
    let entry = &before.body["entries"][0];
    let at = entry["at"].as_str().unwrap();
    assert_eq!(
        before.body,
        json!({ "entries": [{ "eventId": entry["eventId"], "actionType": "watch_ad", "points": 10, "at": at }] })
    );
    for (path, response) in [(&path, &first), (&history, &before)] {
        let tag = response.header("etag");
        assert_eq!(response.header("cache-control"), "no-cache");
        let cached = node.get_with(path, "", &[("if-none-match", tag)]).await;
        assert_eq!((cached.status, cached.text.as_str(), cached.header("etag")), (304, "", tag));
    }

    // Held points are shown nowhere, and awards that an operator approves appear.
    apply(&node, &root, "ada", "quarantine").await;
    node.award(&ada, "complete_level").await;
    node.wait_for_ledger().await;
    assert_eq!(node.get(&path).await.body, profile);
    assert_eq!(node.get_as(&ada, "/api/v1/me").await.body["score"], 10);
    assert_eq!(node.get(&history).await.body, before.body);
    apply(&node, &root, "ada", "approve").await;
    profile["score"] = 30.into();
    profile["rank"] = 1.into();
    eventually("the approved points to be shown", async || {
        let cached = [("if-none-match", first.header("etag"))];
        (node.get_with(&path, "", &cached).await.body == profile && page(&node, &ada, "").await.0.len() == 2)
            .then_some(())
    })
    .await;
    // Changes by operators are no awards, and voided awards do not count.
    let adjust = json!({ "points": -5, "reason": "a private remark" });
    let adjusted = node.post("/api/admin/users/ada/adjust", &root.token, &adjust).await;
    assert_eq!(adjusted.status, 200, "{}", adjusted.text);
    apply(&node, &root, "ada", "quarantine").await;
    node.award(&ada, "complete_level").await;
    node.wait_for_ledger().await;
    apply(&node, &root, "ada", "void").await;
    node.wait_for_ledger().await;
    assert_eq!(page(&node, &ada, "").await.0.len(), 2);

    // Banned players exist for nobody else.
    apply(&node, &root, "ada", "ban").await;
    let nobody = Uuid::from_u128(7);
    for user in [id.to_string(), number.to_string(), nobody.to_string(), "999999".to_owned()] {
        for path in [format!("/api/v1/users/{user}"), format!("/api/v1/users/{user}/history?limit=1")] {
            node.get(&path).await.assert_refused(404, "USER_NOT_FOUND");
        }
    }
    node.get_as(&ada, "/api/v1/me").await.assert_refused(403, "FORBIDDEN");
    apply(&node, &root, "ada", "unban").await;
    eventually("the player to be back", async || (node.get(&path).await.body["score"] == 25).then_some(()))
        .await;

    for user in ["ada", "0", "%ff", "-1", "me"] {
        for path in [format!("/api/v1/users/{user}"), format!("/api/v1/users/{user}/history")] {
            let refused = node.get(&path).await;
            refused.assert_refused(400, "VALIDATION_ERROR");
            assert_eq!(refused.fields(), ["userId"], "{path}");
        }
    }
}

#[tokio::test]
async fn a_history_returns_each_award_once_while_awards_arrive() {
    let stores = TestStores::new().await;
    let nodes = [stores.start_node().await, stores.start_node().await];
    let (ada, bob) = (nodes[0].register("ada").await, nodes[0].register("bob").await);
    let mut awarded = Vec::new();
    for _ in 0..27 {
        let token = nodes[0].init(&ada, "watch_ad").await.body;
        assert_eq!(
            nodes[0].finalize(&ada, token["antiSpamToken"].as_str().unwrap(), Value::Null).await.status,
            200
        );
        awarded.insert(0, token["actionId"].as_str().unwrap().to_owned());
    }
    nodes[0].award(&bob, "watch_ad").await;
    nodes[0].wait_for_ledger().await;
    assert_eq!(page(&nodes[0], &bob, "").await.0.len(), 1);
    assert_eq!(page(&nodes[0], &ada, "").await.0, awarded[..25]);
    assert_eq!(page(&nodes[0], &ada, "?limit=200").await, (awarded.clone(), None));

    let (mut found, mut query) = (Vec::new(), "?limit=9".to_owned());
    for node in nodes.iter().cycle() {
        let (ids, next) = page(node, &ada, &query).await;
        assert_eq!(ids.len(), 9);
        found.extend(ids);
        node.award(&ada, "complete_level").await;
        node.wait_for_ledger().await;
        let Some(next) = next else { break };
        query = format!("?limit=9&cursor={next}");
    }
    assert_eq!(found, awarded);

    let cursor = page(&nodes[0], &ada, "?limit=1").await.1.unwrap();
    let changed = format!("{}{}", if cursor.starts_with('A') { 'B' } else { 'A' }, &cursor[1..]);
    let refusals = [
        (&ada, format!("?cursor={changed}"), vec!["cursor"]),
        (&ada, format!("?cursor={cursor}A"), vec!["cursor"]),
        (&ada, "?cursor=".to_owned(), vec!["cursor"]),
        // A cursor of another player's history.
        (&bob, format!("?cursor={cursor}"), vec!["cursor"]),
        (&ada, "?limit=0".to_owned(), vec!["limit"]),
        (&ada, "?limit=201&cursor=x&cursor=y&offset=1".to_owned(), vec!["cursor", "limit", "offset"]),
    ];
    for (player, query, fields) in refusals {
        let refused = nodes[0].get(&format!("/api/v1/users/{}/history{query}", player.identity.number)).await;
        refused.assert_refused(400, "VALIDATION_ERROR");
        assert_eq!(refused.fields(), fields, "{query}");
    }
}
