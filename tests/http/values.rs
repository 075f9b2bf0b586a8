//! Values, subscores and tags: what a proof establishes for boards, in all three APIs, up to the ledger's chain.

use laurel::keyring::Algorithm;
use serde_json::{Value, json};

use crate::action::webhook::Backend;
use crate::harness::{Player, Signer, TestNode, TestResponse, TestStores, assert_ledger_matches, jwks};
use crate::scripts::clock::set_clock;

/// Starts a node with one action for each kind of proof that establishes a value, and one that has two of them.
async fn start_node(stores: &TestStores, signer: &Signer, backend: &Backend) -> TestNode {
    std::fs::write(stores.folder.path().join("game.json"), jwks(&[signer])).unwrap();
    let webhook =
        format!(r#"kind = "webhook", url = "{}/puppet", secret = "whsec_{}""#, backend.base, "A".repeat(32));
    let elapsed = r#"kind = "elapsed", min_ms = 1000"#;
    let proofs = [
        ("run", elapsed.to_owned()),
        ("level", r#"kind = "signed", keys = "game""#.to_owned()),
        ("raid", webhook.clone()),
        ("timed_raid", format!(r#"kind = "all", of = [{{ {webhook} }}, {{ {elapsed} }}]"#)),
    ];
    let actions = proofs.iter().zip(1..).map(|((kind, proof), number)| {
        format!("[[action]]\ntype = \"{kind}\"\nnumber = {number}\npoints = 1\nproof = {{ {proof} }}\n")
    });
    let catalogue: String = actions.chain(["[keys.game]\njwks_file = \"game.json\"\n".to_owned()]).collect();
    let path = stores.write_catalogue(&catalogue);
    stores
        .start_node_with(|config| {
            config.actions.file = path;
            config.tokens.action_interval_seconds = 0;
        })
        .await
}

async fn prove_and_redeem(node: &TestNode, player: &Player, prove: &Value) -> TestResponse {
    let proven = node.prove(player, prove).await;
    assert_eq!(proven.status, 201, "{}", proven.text);
    node.redeem(player, &json!({ "actionToken": proven.body["actionToken"] })).await
}

/// The results of all awards, oldest first.
async fn results(node: &TestNode) -> Vec<Option<Value>> {
    node.wait_for_ledger().await;
    let sql = "SELECT note FROM score_history WHERE action_token_hash <> '' ORDER BY seq";
    sqlx::query_scalar(sql).fetch_all(&node.app.database).await.unwrap()
}

#[tokio::test]
async fn the_measured_time_is_the_value_in_all_apis() {
    let stores = TestStores::with_fake_clock().await;
    let (signer, backend) = (Signer::new(Algorithm::EdDSA, "a"), Backend::start().await);
    let node = start_node(&stores, &signer, &backend).await;
    let ada = node.register("ada").await;
    let start_ms = node.app.store.now_us().await.unwrap() / 1000;
    let set_clock = |seconds: i64| set_clock(&stores, start_ms + seconds * 1000);

    set_clock(0);
    let (token, proved, raid) = (
        node.issue_token(&ada, "run").await,
        node.issue_token(&ada, "run").await,
        node.issue_token(&ada, "timed_raid").await,
    );
    let game = node.start_game(&ada).await;
    set_clock(2);
    let body = json!({ "antiSpamToken": token });
    let key = [("idempotency-key", "k")];
    for _ in 0..2 {
        let award = node.post_with("/api/v1/actions/finalize", &ada.token, &key, &body).await;
        assert_eq!(award.status, 200, "{}", award.text);
    }
    set_clock(4);
    let proven = node.prove(&ada, &json!({ "antiSpamToken": proved })).await;
    set_clock(7);
    let award = node.redeem(&ada, &json!({ "actionToken": proven.body["actionToken"] })).await;
    assert_eq!(award.status, 200, "{}", award.text);
    set_clock(10);
    let update = json!({ "actionToken": game.body["data"]["actionToken"], "actionType": "run", "points": 1 });
    assert_eq!(node.update_score(&ada, &update).await.status, 200);
    let response = json!({ "valid": true, "tags": { "mode": "ranked" } });
    let award = node.finalize(&ada, &raid, json!({ "response": response })).await;
    assert_eq!(award.status, 200, "{}", award.text);

    let expected = [
        json!({ "value": 2000 }),
        json!({ "value": 4000 }),
        json!({ "value": 10_000 }),
        json!({ "value": 10_000, "tags": { "mode": "ranked" } }),
    ];
    assert_eq!(results(&node).await, expected.map(Some));
    assert_ledger_matches(&stores).await;
    sqlx::query("UPDATE score_history SET note = '{\"value\": 1}' WHERE note->>'value' = '2000'")
        .execute(&node.app.database)
        .await
        .unwrap();
    let app = stores.build_app().await;
    assert_eq!(crate::harness::ledger_mismatches(&app).await.len(), 1, "the chain covers the result");
}

#[tokio::test]
async fn attestations_and_webhooks_name_value_subscore_and_tags() {
    let stores = TestStores::new().await;
    let (signer, backend) = (Signer::new(Algorithm::EdDSA, "a"), Backend::start().await);
    let node = start_node(&stores, &signer, &backend).await;
    let ada = node.register("ada").await;
    let expires_s = node.app.store.now_us().await.unwrap() / 1_000_000 + 60;
    let attest = |jti: &Value, result: &Value| {
        let mut claims = json!({ "sub": ada.identity.user, "act": "level", "jti": jti, "exp": expires_s });
        claims.as_object_mut().unwrap().extend(result.as_object().unwrap().clone());
        json!({ "attestation": signer.sign(&claims) })
    };
    let respond = |result: &Value| {
        let mut response = json!({ "valid": true });
        response.as_object_mut().unwrap().extend(result.as_object().unwrap().clone());
        json!({ "response": response })
    };
    let finalize = async |action: &str, result: &Value| {
        let issued = node.init(&ada, action).await;
        let proof = match action {
            "level" => attest(&issued.body["challenge"]["nonce"], result),
            _ => respond(result),
        };
        node.finalize(&ada, issued.body["antiSpamToken"].as_str().unwrap(), proof).await
    };
    let update = async |action: &str, result: &Value| {
        let game = node.start_game(&ada).await;
        let token = &game.body["data"]["actionToken"];
        let proof = if action == "level" { attest(token, result) } else { respond(result) };
        let body = json!({ "actionToken": token, "actionType": action, "points": 1, "proof": proof });
        node.update_score(&ada, &body).await
    };
    let tags: serde_json::Map<_, _> = (0..16).map(|n| (format!("tag_{n}"), json!("A.b-c_1"))).collect();
    let full = json!({ "value": 9_007_199_254_740_991_u64, "subscore": 7, "tags": tags });
    for action in ["level", "raid"] {
        assert_eq!(finalize(action, &full).await.status, 200);
        let proof = if action == "level" { attest(&json!("proven"), &full) } else { respond(&full) };
        let prove = json!({ "actionType": action, "proof": proof });
        assert_eq!(prove_and_redeem(&node, &ada, &prove).await.status, 200);
        assert_eq!(update(action, &json!({ "value": 0 })).await.status, 200);
        // The points stay the catalogue's.
        assert_eq!(finalize(action, &json!({ "points": 500 })).await.status, 200);
        for bad in [
            json!({ "value": 9_007_199_254_740_992_u64 }),
            json!({ "subscore": -1 }),
            json!({ "tags": { "mode": "two words" } }),
            json!({ "tags": { "Mode": "ranked" } }),
        ] {
            finalize(action, &bad).await.assert_refused(422, "PROOF_INVALID");
        }
        update(action, &json!({ "value": 1.5 })).await.assert_refused(422, "PROOF_INVALID");
    }
    let of_one = [Some(full.clone()), Some(full), Some(json!({ "value": 0 })), None];
    assert_eq!(results(&node).await, [of_one.clone(), of_one].concat());
    // Everyone may see value and subscore. Tags can be personal, such as a country.
    let history = node.get(&format!("/api/v1/users/{}/history?limit=3", ada.identity.user)).await;
    let shown = history.body["entries"].as_array().unwrap().iter().map(|entry| {
        let mut entry = entry.clone();
        entry
            .as_object_mut()
            .unwrap()
            .retain(|name, _| ["value", "subscore", "tags"].contains(&name.as_str()));
        entry
    });
    let expected =
        [json!({}), json!({ "value": 0 }), json!({ "value": 9_007_199_254_740_991_u64, "subscore": 7 })];
    assert_eq!(shown.collect::<Vec<_>>(), expected);
    assert_ledger_matches(&stores).await;
    assert_eq!(node.board().await, [("ada".to_owned(), 8, 1)]);
}
