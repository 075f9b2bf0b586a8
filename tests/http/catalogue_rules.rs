//! The catalogue's rules for an action hold in all three APIs: proofs, limits, open hours and points.

use laurel::keyring::Algorithm;
use serde_json::{Value, json};

use crate::harness::{Player, Signer, TestNode, TestStores, assert_ledger_matches, eventually, jwks};

/// Starts a node with this catalogue.
async fn start_node(stores: &TestStores, catalogue: &str) -> TestNode {
    let path = stores.write_catalogue(catalogue);
    stores
        .start_node_with(|config| {
            config.actions.file = path;
            config.tokens.action_interval_seconds = 0;
        })
        .await
}

async fn redis_time_ms(node: &TestNode) -> i64 {
    node.app.store.now_us().await.unwrap() / 1000
}

/// The claims of an attestation that is valid for a minute.
fn claims(player: &Player, jti: &str, now_ms: i64) -> Value {
    json!({ "sub": player.identity.user, "act": "level", "jti": jti, "exp": now_ms / 1000 + 60 })
}

/// The `jti` that an attestation for this token must have.
fn jti(issued: &Value) -> &str {
    issued["challenge"]["nonce"].as_str().unwrap()
}

const LEVEL: &str = r#"
    [keys.game]
    jwks_file = "game.json"
    [[action]]
    type = "level"
    number = 1
    points = 10
    points_by_difficulty = { hard = 50 }
    proof = { kind = "signed", keys = "game" }
"#;

/// Starts a node that trusts these signers. Returns it, a player, and the time in ms by Redis' clock.
async fn start_level_node(stores: &TestStores, signers: &[&Signer]) -> (TestNode, Player, i64) {
    std::fs::write(stores.folder.path().join("game.json"), jwks(signers)).unwrap();
    let node = start_node(stores, LEVEL).await;
    let ada = node.register("ada").await;
    let now_ms = redis_time_ms(&node).await;
    (node, ada, now_ms)
}

#[tokio::test]
async fn an_attestation_is_for_one_token() {
    let stores = TestStores::new().await;
    let signers = [Algorithm::EdDSA, Algorithm::ES256, Algorithm::HS256]
        .map(|name| Signer::new(name, &format!("{name:?}")));
    let (node, ada, now_ms) = start_level_node(&stores, &signers.each_ref()).await;
    let bob = node.register("bob").await;
    for (index, signer) in signers.iter().enumerate() {
        let issued = node.init(&ada, "level").await;
        let token = issued.body["antiSpamToken"].as_str().unwrap();
        let attestation = signer.sign(&claims(&ada, jti(&issued.body), now_ms));
        let proof = json!({ "attestation": attestation });
        let award = node.finalize(&ada, token, proof.clone()).await;
        assert_eq!(award.body["newScore"], 10 * (index + 1), "{}", award.text);
        // The attestation is not valid for another token.
        let next = node.issue_token(&ada, "level").await;
        node.finalize(&ada, &next, proof).await.assert_refused(422, "PROOF_INVALID");
    }
    let untrusted = Signer::new(Algorithm::EdDSA, "EdDSA");
    let invalid = [
        untrusted.sign(&claims(&ada, "x", now_ms)),
        signers[0].sign(&claims(&bob, "x", now_ms)),
        signers[0].sign(&claims(&ada, "another token's", now_ms)),
    ];
    for attestation in invalid {
        let (token, proof) = (node.issue_token(&ada, "level").await, json!({ "attestation": attestation }));
        node.finalize(&ada, &token, proof).await.assert_refused(422, "PROOF_INVALID");
    }
    for (name, value) in
        [("act", json!("other")), ("exp", json!(now_ms / 1000 - 1)), ("nbf", json!(now_ms / 1000 + 50))]
    {
        let issued = node.init(&ada, "level").await;
        let mut claims = claims(&ada, jti(&issued.body), now_ms);
        claims[name] = value;
        let proof = json!({ "attestation": signers[1].sign(&claims) });
        let token = issued.body["antiSpamToken"].as_str().unwrap();
        node.finalize(&ada, token, proof).await.assert_refused(422, "PROOF_INVALID");
    }
    assert_eq!(node.board().await, [("ada".to_owned(), 30, 1)]);
    assert_ledger_matches(&stores).await;
}

#[tokio::test]
async fn an_attestation_without_a_token_is_used_once() {
    let stores = TestStores::new().await;
    let signer = Signer::new(Algorithm::ES256, "a");
    let (node, ada, now_ms) = start_level_node(&stores, &[&signer]).await;
    let hard = |jti: &str| {
        let mut claims = claims(&ada, jti, now_ms);
        claims["difficulty"] = json!("hard");
        json!({ "attestation": signer.sign(&claims) })
    };
    let body = json!({ "actionType": "level", "proof": hard("one") });
    let proven = node.prove(&ada, &body).await;
    assert_eq!(proven.status, 201, "{}", proven.text);
    let repeat = node.prove(&ada, &body).await;
    repeat.assert_refused(422, "PROOF_INVALID");
    let redeem = json!({ "actionToken": proven.body["actionToken"] });
    let award = node.redeem(&ada, &redeem).await;
    assert_eq!(award.body["newScore"], 50, "{}", award.text);

    let game = node.start_game(&ada).await;
    let token = &game.body["data"]["actionToken"];
    let update = |token: &Value, points: u64, proof: Value| json!({ "actionToken": token, "actionType": "level", "points": points, "proof": proof });
    let send = async |body: Value| node.update_score(&ada, &body).await;
    // Points that the catalogue never awards do not spend the token. Points of another difficulty fail the proof.
    send(update(token, 11, hard("two"))).await.assert_refused(400, "INVALID_POINTS");
    send(update(token, 10, hard("two"))).await.assert_refused(422, "PROOF_INVALID");
    send(update(token, 50, hard("two"))).await.assert_refused(409, "TOKEN_ALREADY_USED");
    let game = node.start_game(&ada).await;
    let token = &game.body["data"]["actionToken"];
    let award = send(update(token, 50, hard("two"))).await;
    assert_eq!(award.body["data"]["newScore"], 100, "{}", award.text);
    let next = &award.body["data"]["newActionToken"];
    send(update(next, 50, hard("two"))).await.assert_refused(422, "PROOF_INVALID");
    assert_ledger_matches(&stores).await;
}

#[tokio::test]
async fn a_used_attestation_is_refused_after_redis_was_emptied() {
    let stores = TestStores::new().await;
    let signer = Signer::new(Algorithm::ES256, "a");
    let (node, ada, now_ms) = start_level_node(&stores, &[&signer]).await;
    let proof = |jti: &str| json!({ "attestation": signer.sign(&claims(&ada, jti, now_ms)) });
    let prove = async |jti: &str| {
        let body = json!({ "actionType": "level", "proof": proof(jti) });
        node.prove(&ada, &body).await
    };
    let start = async || {
        let game = node.start_game(&ada).await;
        game.body["data"]["actionToken"].as_str().map(str::to_owned)
    };
    let update = async |token: &str, jti: &str| {
        let body = json!({ "actionToken": token, "actionType": "level", "points": 10, "proof": proof(jti) });
        node.update_score(&ada, &body).await
    };
    assert_eq!(prove("proven").await.status, 201);
    let token = start().await.unwrap();
    assert_eq!(update(&token, "played").await.status, 200);
    node.wait_for_ledger().await;
    let _: () = stores.redis_client().await.query("FLUSHALL").await;
    let token = eventually("a game to start again", start).await;
    update(&token, "played").await.assert_refused(422, "PROOF_INVALID");
    prove("proven").await.assert_refused(422, "PROOF_INVALID");
    assert_eq!(prove("fresh").await.status, 201);
    assert_ledger_matches(&stores).await;
}

#[tokio::test]
async fn game_keys_rotate_while_the_node_serves() {
    let stores = TestStores::new().await;
    let (old, new) = (Signer::new(Algorithm::EdDSA, "old"), Signer::new(Algorithm::EdDSA, "new"));
    let (node, ada, now_ms) = start_level_node(&stores, &[&old]).await;
    let attest = async |signer: &Signer| {
        let issued = node.init(&ada, "level").await;
        let attestation = signer.sign(&claims(&ada, jti(&issued.body), now_ms));
        let token = issued.body["antiSpamToken"].as_str().unwrap();
        node.finalize(&ada, token, json!({ "attestation": attestation })).await.status
    };
    assert_eq!((attest(&old).await, attest(&new).await), (200, 422));
    std::fs::write(stores.folder.path().join("game.json"), jwks(&[&new])).unwrap();
    eventually("the new key to be accepted", async || (attest(&new).await == 200).then_some(())).await;
    assert_eq!(attest(&old).await, 422);
}

#[tokio::test]
async fn caps_and_open_hours_apply_in_all_apis() {
    let stores = TestStores::new().await;
    let first_node = stores.start_node().await;
    let hour = redis_time_ms(&first_node).await / 3_600_000 % 24;
    first_node.stop().await;
    let hours = |from: i64| format!("{:02}:00-{:02}:00", (hour + from) % 24, (hour + from + 4) % 24);
    let action = |name: &str, number: u32, rule: &str| {
        format!(
            "[[action]]\ntype = \"{name}\"\nnumber = {number}\npoints = 10\nproof = {{ kind = \"none\" }}\n{rule}\n"
        )
    };
    let closed = format!("open_hours = \"{}\"", hours(6));
    let open = format!("open_hours = \"{}\"", hours(22));
    let catalogue =
        action("capped", 1, "cap_per_hour = 2") + &action("closed", 2, &closed) + &action("open", 3, &open);
    let node = start_node(&stores, &catalogue).await;
    let ada = node.register("ada").await;
    for _ in 0..2 {
        node.award(&ada, "open").await;
    }
    node.init(&ada, "closed").await.assert_refused(400, "INVALID_ACTION");
    let prove = |action: &str| json!({ "actionType": action });
    let proven = node.prove(&ada, &prove("closed")).await;
    proven.assert_refused(400, "INVALID_ACTION");
    let game = node.start_game(&ada).await;
    let token = game.body["data"]["actionToken"].clone();
    let update = |action: &str| json!({ "actionToken": token, "actionType": action, "points": 10 });
    node.update_score(&ada, &update("closed")).await.assert_refused(400, "INVALID_ACTION");

    let (first, second) = (node.issue_token(&ada, "capped").await, node.issue_token(&ada, "capped").await);
    assert_eq!(node.finalize(&ada, &first, Value::Null).await.status, 200);
    let proven = node.prove(&ada, &prove("capped")).await;
    let redeem = json!({ "actionToken": proven.body["actionToken"] });
    assert_eq!(node.redeem(&ada, &redeem).await.status, 200);
    let refused = node.finalize(&ada, &second, Value::Null).await;
    refused.assert_refused(429, "ACTION_LIMIT_REACHED");
    assert!((1..=3600).contains(&refused.header("retry-after").parse::<u64>().unwrap()));
    node.prove(&ada, &prove("capped")).await.assert_refused(429, "ACTION_LIMIT_REACHED");
    node.update_score(&ada, &update("capped")).await.assert_refused(429, "ACTION_LIMIT_REACHED");
    assert_eq!(node.update_score(&ada, &update("open")).await.status, 200);
}

#[tokio::test]
async fn quiz_questions_set_the_points_and_do_not_repeat() {
    let stores = TestStores::new().await;
    let bank: String = (0..6)
        .map(|number| {
            let difficulty = if number % 2 == 0 { "difficulty = \"hard\"" } else { "" };
            format!(
                "[[banks.sums]]\nquestion = \"{number} + 1?\"\nanswer = \"{}\"\n{difficulty}\n",
                number + 1
            )
        })
        .collect();
    let action = "[[action]]\ntype = \"sum\"\nnumber = 1\npoints = 10\npoints_by_difficulty = { hard = 30 }\n\
                  proof = { kind = \"quiz\", bank = \"sums\" }\nflows = [\"actions\"]\n";
    let node = start_node(&stores, &format!("{action}{bank}")).await;
    let ada = node.register("ada").await;
    let mut total = 0;
    for _ in 0..2 {
        let mut questions = Vec::new();
        for _ in 0..6 {
            let issued = node.init(&ada, "sum").await;
            let question = issued.body["challenge"]["question"].as_str().unwrap().to_owned();
            let number: u64 = question.split(' ').next().unwrap().parse().unwrap();
            let token = issued.body["antiSpamToken"].as_str().unwrap();
            let award = node.finalize(&ada, token, json!({ "quizResult": (number + 1).to_string() })).await;
            total += if number.is_multiple_of(2) { 30 } else { 10 };
            assert_eq!(award.body["newScore"], total, "{}", award.text);
            questions.push(question);
        }
        questions.sort();
        questions.dedup();
        assert_eq!(questions.len(), 6, "a question was repeated: {questions:?}");
    }
    assert_ledger_matches(&stores).await;
}

#[tokio::test]
async fn hashcash_bits_grow_with_the_rate_and_all_proofs_must_pass() {
    let stores = TestStores::new().await;
    let node = start_node(
        &stores,
        "[[action]]\ntype = \"both\"\nnumber = 1\npoints = 10\nflows = [\"actions\"]\n\
         proof = { kind = \"all\", of = [{ kind = \"quiz\", bank = \"one\" }, \
                   { kind = \"hashcash\", bits = 4, max_bits = 7, pace_per_minute = 2 }] }\n\
         [[banks.one]]\nquestion = \"2 + 2?\"\nanswer = \"4\"\n",
    )
    .await;
    let ada = node.register("ada").await;
    let mut bits = Vec::new();
    let mut last = Value::Null;
    for _ in 0..10 {
        last = node.init(&ada, "both").await.body;
        bits.push(last["challenge"]["bits"].as_u64().unwrap());
    }
    assert_eq!(bits, [4, 4, 5, 5, 6, 6, 6, 6, 7, 7]);
    let solve = |issued: &Value, quiz: &str| {
        let prefix = issued["challenge"]["prefix"].as_str().unwrap();
        let bits = issued["challenge"]["bits"].as_u64().unwrap() as u32;
        let solves = |nonce: &u64| super::proofs::leading_zero_bits(&format!("{prefix}{nonce}")) >= bits;
        json!({ "quizResult": quiz, "nonce": (0u64..).find(solves).unwrap().to_string() })
    };
    let token = |issued: &Value| issued["antiSpamToken"].as_str().unwrap().to_owned();
    let partial = node.finalize(&ada, &token(&last), json!({ "quizResult": "4" })).await;
    partial.assert_refused(400, "VALIDATION_ERROR");
    assert_eq!(partial.fields(), ["proof.nonce"]);
    let award = node.finalize(&ada, &token(&last), solve(&last, "4")).await;
    assert_eq!(award.body["newScore"], 10, "{}", award.text);
    let next = node.init(&ada, "both").await.body;
    node.finalize(&ada, &token(&next), solve(&next, "5")).await.assert_refused(422, "PROOF_INVALID");
    let next = node.init(&ada, "both").await.body;
    let no_work = json!({ "quizResult": "4", "nonce": "no work" });
    let response = node.finalize(&ada, &token(&next), no_work).await;
    let prefix = next["challenge"]["prefix"].as_str().unwrap();
    // By chance the hash may have enough zero bits.
    let is_solved = super::proofs::leading_zero_bits(&format!("{prefix}no work")) >= 7;
    assert_eq!(response.status, if is_solved { 200 } else { 422 });
}
