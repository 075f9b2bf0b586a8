use serde_json::{Value, json};

use super::admin::admin;
use crate::harness::{TestStores, eventually};

#[tokio::test]
async fn suspects_are_ranked_by_weight() {
    let stores = TestStores::new().await;
    let nodes = [stores.start_node().await, stores.start_node().await];
    let root = admin(&nodes[0]).await;
    let (ada, eve) = (nodes[0].register("ada").await, nodes[0].register("eve").await);
    let token = nodes[0].issue_token(&ada, "watch_ad").await;
    nodes[0].finalize(&ada, &token, Value::Null).await;
    nodes[0].finalize(&ada, &token, Value::Null).await.assert_refused(409, "TOKEN_ALREADY_USED");
    let hers = nodes[0].issue_token(&ada, "watch_ad").await;
    let early = nodes[0].issue_token(&eve, "demo_elapsed").await;
    nodes[1].finalize(&eve, &hers, Value::Null).await.assert_refused(401, "INVALID_TOKEN");
    nodes[1].finalize(&eve, "a.b.c", Value::Null).await.assert_refused(401, "INVALID_TOKEN");
    nodes[0].finalize(&eve, "a.b.c", Value::Null).await.assert_refused(401, "INVALID_TOKEN");
    nodes[1].finalize(&eve, &early, Value::Null).await.assert_refused(422, "PROOF_INVALID");
    let quiz = nodes[1].issue_token(&eve, "demo_quiz").await;
    nodes[0].finalize(&eve, &quiz, json!({ "quizResult": "?" })).await.assert_refused(422, "PROOF_INVALID");
    let bearer = format!("Bearer {}", root.token);
    let get = async |path: &str| {
        let headers = [("authorization", bearer.as_str())];
        nodes[0].send(reqwest::Method::GET, path, &headers, Vec::new()).await.body["data"].clone()
    };
    let wanted = json!({ "forged": 2, "foreign": 1, "too_fast": 1, "proof_failed": 1 });
    let found = eventually("all abuse signals to be written", async || {
        let found = get("/api/admin/suspects?hours=1&limit=10").await;
        (found["players"][0]["signals"] == wanted).then_some(found)
    })
    .await;
    let names =
        |rows: &Value| rows.as_array().unwrap().iter().map(|it| it["username"].clone()).collect::<Vec<_>>();
    assert_eq!(names(&found["players"]), ["eve", "ada"]);
    assert_eq!(
        (&found["players"][0]["weight"], &found["players"][1]["signals"]),
        (&json!(38), &json!({ "replayed": 1 }))
    );
    // All requests came from one address.
    assert_eq!(
        (names(&found["addresses"]), &found["addresses"][0]["suspect"]),
        (vec![Value::Null], &json!("127.0.0.1"))
    );
    assert_eq!(found["addresses"][0]["weight"], 39);
    assert_eq!((&found["weights"]["forged"], &found["weights"]["replayed"]), (&json!(10), &json!(1)));
    // At most `limit` of each.
    let one = get("/api/admin/suspects?hours=1&limit=1").await;
    assert_eq!((names(&one["players"]), one["addresses"].as_array().unwrap().len()), (vec![json!("eve")], 1));

    // The user leads to the address and back. Every spelling of the address works.
    for address in ["127.0.0.1", "::ffff:127.0.0.1", "::ffff:7f00:1"] {
        let behind = get(&format!("/api/admin/suspects/{address}?hours=1")).await;
        assert_eq!(
            (names(&behind["players"]), &behind["addresses"]),
            (vec![json!("eve"), json!("ada")], &json!([])),
            "{address}"
        );
        assert_eq!(
            (&behind["players"][0]["signals"], &behind["players"][0]["weight"]),
            (&wanted, &json!(38))
        );
    }
    let eves = get("/api/admin/suspects/eve?hours=1").await;
    assert_eq!((&eves["players"], &eves["addresses"][0]["suspect"]), (&json!([]), &json!("127.0.0.1")));
    assert_eq!((&eves["addresses"][0]["signals"], &eves["addresses"][0]["userId"]), (&wanted, &Value::Null));
    let nobody = get("/api/admin/suspects/10.9.8.7?hours=1").await;
    assert_eq!((&nobody["signals"], &nobody["players"]), (&json!([]), &json!([])));
    let report = nodes[0]
        .send(reqwest::Method::GET, "/api/admin/users/eve", &[("authorization", &bearer)], Vec::new())
        .await;
    assert_eq!((&report.body["data"]["signals"], &report.body["data"]["score"]), (&wanted, &json!(0)));
    let bad = nodes[0]
        .send(reqwest::Method::GET, "/api/admin/suspects?hours=0", &[("authorization", &bearer)], Vec::new())
        .await;
    bad.assert_refused(400, "VALIDATION_ERROR");
}
