use serde_json::{Value, json};

use super::admin::admin;
use crate::harness::{World, eventually};

#[tokio::test]
async fn suspects_are_ranked_by_what_they_did() {
    let world = World::new().await;
    let nodes = [world.node().await, world.node().await];
    let root = admin(&nodes[0]).await;
    let (ada, eve) = (nodes[0].register("ada").await, nodes[0].register("eve").await);
    let token = nodes[0].token(&ada, "watch_ad").await;
    nodes[0].finalize(&ada, &token, Value::Null).await;
    nodes[0].finalize(&ada, &token, Value::Null).await.assert_refused(409, "TOKEN_ALREADY_USED");
    let hers = nodes[0].token(&ada, "watch_ad").await;
    let early = nodes[0].token(&eve, "demo_elapsed").await;
    nodes[1].finalize(&eve, &hers, Value::Null).await.assert_refused(401, "INVALID_TOKEN");
    nodes[1].finalize(&eve, "a.b.c", Value::Null).await.assert_refused(401, "INVALID_TOKEN");
    nodes[0].finalize(&eve, "a.b.c", Value::Null).await.assert_refused(401, "INVALID_TOKEN");
    nodes[1].finalize(&eve, &early, Value::Null).await.assert_refused(422, "PROOF_INVALID");
    let quiz = nodes[1].token(&eve, "demo_quiz").await;
    nodes[0].finalize(&eve, &quiz, json!({ "quizResult": "?" })).await.assert_refused(422, "PROOF_INVALID");
    let bearer = format!("Bearer {}", root.token);
    let path = "/api/admin/suspects?hours=1&limit=10";
    let wanted = json!({ "forged": 2, "foreign": 1, "too_fast": 1, "proof_failed": 1 });
    let found = eventually("all signs to be written", async || {
        let answer =
            nodes[0].send(reqwest::Method::GET, path, &[("authorization", &bearer)], Vec::new()).await;
        let rows = answer.body["data"].as_array().unwrap().clone();
        rows.iter().any(|it| it["username"] == "eve" && it["signs"] == wanted).then_some(rows)
    })
    .await;
    // All of them came from one address.
    assert_eq!((&found[0]["suspect"], &found[0]["username"]), (&json!("127.0.0.1"), &Value::Null));
    assert_eq!((&found[1]["username"], &found[1]["weight"]), (&json!("eve"), &json!(38)));
    assert_eq!((&found[2]["username"], &found[2]["signs"]), (&json!("ada"), &json!({ "replayed": 1 })));
    let report = nodes[0]
        .send(reqwest::Method::GET, "/api/admin/users/eve", &[("authorization", &bearer)], Vec::new())
        .await;
    assert_eq!((&report.body["data"]["signs"], &report.body["data"]["score"]), (&wanted, &json!(0)));
    let bad = nodes[0]
        .send(reqwest::Method::GET, "/api/admin/suspects?hours=0", &[("authorization", &bearer)], Vec::new())
        .await;
    bad.assert_refused(400, "VALIDATION_ERROR");
}
