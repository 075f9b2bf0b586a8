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
        ("run", 0, elapsed.to_owned()),
        ("level", 1, r#"kind = "signed", keys = "game""#.to_owned()),
        ("raid", 1, webhook.clone()),
        ("timed_raid", 1, format!(r#"kind = "all", of = [{{ {webhook} }}, {{ {elapsed} }}]"#)),
    ];
    let actions = proofs.iter().zip(1..).map(|((kind, points, proof), number)| {
        format!(
            "[[action]]\ntype = \"{kind}\"\nnumber = {number}\npoints = {points}\nproof = {{ {proof} }}\n"
        )
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
    let update = json!({ "actionToken": game.body["data"]["actionToken"], "actionType": "run", "points": 0 });
    let mut negative = update.clone();
    negative["points"] = json!(-1);
    node.update_score(&ada, &negative).await.assert_refused(400, "INVALID_POINTS");
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

#[tokio::test]
async fn awards_of_0_points_leave_the_global_board_as_it_is() {
    let stores = TestStores::new().await;
    let action = |kind: &str, number: u32, points: u32| {
        format!(
            "[[action]]\ntype = \"{kind}\"\nnumber = {number}\npoints = {points}\nproof = {{ kind = \"none\" }}\n"
        )
    };
    let path = stores.write_catalogue(
        &[action("ad", 1, 10), action("run", 2, 0), "cap_per_day = 2\n".to_owned()].concat(),
    );
    let node = stores
        .start_node_with(|config| {
            config.actions.file = path;
            config.limits.points_per_hour = 10;
        })
        .await;
    let (ada, bob, cyd) =
        (node.register("ada").await, node.register("bob").await, node.register("cyd").await);
    node.award(&ada, "ad").await;
    node.award(&bob, "ad").await;
    let board = node.get("/api/v1/scores/leaderboard").await;

    // The repeat under the key is the same, so its rank is complete on several shards too.
    for (player, score, rank) in [(&ada, 10, json!(1)), (&cyd, 0, Value::Null)] {
        let body = json!({ "antiSpamToken": node.issue_token(player, "run").await });
        let award = async || {
            node.post_with("/api/v1/actions/finalize", &player.token, &[("idempotency-key", "k")], &body)
                .await
        };
        let first = award().await;
        assert_eq!((&first.body["newScore"], &first.body["rank"]), (&json!(score), &rank), "{}", first.text);
        assert_eq!(award().await.text, first.text);
        let again = node.post("/api/v1/actions/finalize", &player.token, &body).await;
        again.assert_refused(409, "TOKEN_ALREADY_USED");
        let standing = node.get_as(player, &format!("/api/scoreboard/user/{}", player.identity.user)).await;
        assert_eq!(
            (&standing.body["data"]["score"], &standing.body["data"]["rank"]),
            (&json!(score), &rank),
            "{}",
            standing.text
        );
    }
    node.award(&cyd, "run").await;
    node.init(&cyd, "run").await.assert_refused(429, "ACTION_LIMIT_REACHED");
    assert_eq!(node.get("/api/v1/scores/leaderboard").await.body, board.body, "no new version");

    assert_ledger_matches(&stores).await;
    laurel::ledger::rebuild(&node.app.ledger, |_| ()).await.unwrap();
    let rebuilt = node.get("/api/v1/scores/leaderboard").await;
    assert_eq!(rebuilt.body["leaderboard"], board.body["leaderboard"], "ada is still first among the ties");
    assert_ledger_matches(&stores).await;
    let rows: Vec<(i64, i64, i64)> = sqlx::query_as(
        "SELECT points_earned, score_before, score_after FROM score_history WHERE action_type = 'run' ORDER BY seq",
    )
    .fetch_all(&node.app.database)
    .await
    .unwrap();
    assert_eq!(rows, [(0, 10, 10), (0, 0, 0), (0, 0, 0)]);
}
