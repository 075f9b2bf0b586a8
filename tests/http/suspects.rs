//! Abuse signals in the admin API.

use serde_json::{Value, json};

use super::admin::create_admin;
use crate::harness::{TestStores, eventually};

#[tokio::test]
async fn suspects_are_ranked_by_weight() {
    let stores = TestStores::new().await;
    let nodes = [stores.start_node().await, stores.start_node().await];
    let root = create_admin(&nodes[0]).await;
    let (ada, eve) = (nodes[0].register("ada").await, nodes[0].register("eve").await);
    let token = nodes[0].issue_token(&ada, "watch_ad").await;
    nodes[0].finalize(&ada, &token, Value::Null).await;
    nodes[0].finalize(&ada, &token, Value::Null).await.assert_refused(409, "TOKEN_ALREADY_USED");
    let foreign = nodes[0].issue_token(&ada, "watch_ad").await;
    let early = nodes[0].issue_token(&eve, "demo_elapsed").await;
    nodes[1].finalize(&eve, &foreign, Value::Null).await.assert_refused(401, "INVALID_TOKEN");
    nodes[1].finalize(&eve, "a.b.c", Value::Null).await.assert_refused(401, "INVALID_TOKEN");
    nodes[0].finalize(&eve, "a.b.c", Value::Null).await.assert_refused(401, "INVALID_TOKEN");
    nodes[1].finalize(&eve, &early, Value::Null).await.assert_refused(422, "PROOF_INVALID");
    let quiz = nodes[1].issue_token(&eve, "demo_quiz").await;
    nodes[0].finalize(&eve, &quiz, json!({ "quizResult": "?" })).await.assert_refused(422, "PROOF_INVALID");
    let get = async |path: &str| nodes[0].get_as(&root, path).await.body["data"].clone();
    let signals = json!({ "forged": 2, "foreign": 1, "too_fast": 1, "proof_failed": 1 });
    let found = eventually("all abuse signals to be written", async || {
        let found = get("/api/admin/suspects?hours=1&limit=10").await;
        (found["players"][0]["signals"] == signals).then_some(found)
    })
    .await;
    let names =
        |rows: &Value| rows.as_array().unwrap().iter().map(|it| it["username"].clone()).collect::<Vec<_>>();
    assert_eq!(names(&found["players"]), ["eve", "ada"]);
    assert_eq!(
        (&found["players"][0]["weight"], &found["players"][1]["signals"]),
        (&json!(38), &json!({ "replayed": 1 }))
    );
    // All requests have one address.
    assert_eq!(
        (names(&found["addresses"]), &found["addresses"][0]["suspect"]),
        (vec![Value::Null], &json!("127.0.0.1"))
    );
    assert_eq!(found["addresses"][0]["weight"], 39);
    assert_eq!((&found["weights"]["forged"], &found["weights"]["replayed"]), (&json!(10), &json!(1)));
    // At most `limit` of each.
    let one = get("/api/admin/suspects?hours=1&limit=1").await;
    assert_eq!((names(&one["players"]), one["addresses"].as_array().unwrap().len()), (vec![json!("eve")], 1));

    // An address lists its users, in every spelling of the address.
    for address in ["127.0.0.1", "::ffff:127.0.0.1", "::ffff:7f00:1"] {
        let evidence = get(&format!("/api/admin/suspects/{address}?hours=1")).await;
        assert_eq!(
            (names(&evidence["players"]), &evidence["addresses"]),
            (vec![json!("eve"), json!("ada")], &json!([])),
            "{address}"
        );
        assert_eq!(
            (&evidence["players"][0]["signals"], &evidence["players"][0]["weight"]),
            (&signals, &json!(38))
        );
    }
    // A user lists the addresses.
    let evidence = get("/api/admin/suspects/eve?hours=1").await;
    assert_eq!(
        (&evidence["players"], &evidence["addresses"][0]["suspect"]),
        (&json!([]), &json!("127.0.0.1"))
    );
    assert_eq!(
        (&evidence["addresses"][0]["signals"], &evidence["addresses"][0]["userId"]),
        (&signals, &Value::Null)
    );
    let nobody = get("/api/admin/suspects/10.9.8.7?hours=1").await;
    assert_eq!((&nobody["signals"], &nobody["players"]), (&json!([]), &json!([])));
    let report = nodes[0].get_as(&root, "/api/admin/users/eve").await;
    assert_eq!((&report.body["data"]["signals"], &report.body["data"]["score"]), (&signals, &json!(0)));
    let refused = nodes[0].get_as(&root, "/api/admin/suspects?hours=0").await;
    refused.assert_refused(400, "VALIDATION_ERROR");
}
