//! Quiz, hashcash, elapsed time and attestations.

use laurel::keyring::Algorithm;
use serde_json::{Value, json};

use crate::harness::{Signer, TestStores, assert_ledger_matches, eventually, jwks};
use crate::scripts::clock::set_clock;

/// The leading zero bits of the text's SHA-256, counted in its hex digits.
pub fn leading_zero_bits(text: &str) -> u32 {
    let hex = laurel::crypto::sha256_hex(&[text.as_bytes()]);
    let zeros = hex.bytes().take_while(|digit| *digit == b'0').count();
    let next = u8::from_str_radix(&hex[zeros..=zeros], 16).unwrap();
    zeros as u32 * 4 + next.leading_zeros() - 4
}

const CAPITALS: [(&str, &str); 10] = [
    ("France", "Paris"),
    ("Australia", "Canberra"),
    ("Canada", "Ottawa"),
    ("Kenya", "Nairobi"),
    ("Brazil", "Brasília"),
    ("Turkey", "Ankara"),
    ("New Zealand", "Wellington"),
    ("Morocco", "Rabat"),
    ("Vietnam", "Hanoi"),
    ("Switzerland", "Bern"),
];

/// The correct answer to a question of the built-in bank.
pub fn quiz_answer(question: &str) -> &'static str {
    CAPITALS.iter().find(|(country, _)| question.contains(country)).unwrap().1
}

#[tokio::test]
async fn only_the_correct_answer_wins_a_quiz() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let ada = node.register("ada").await;
    let issued = node.init(&ada, "demo_quiz").await;
    let question = issued.body["challenge"]["question"].as_str().unwrap();
    let answer = quiz_answer(question);
    let token = issued.body["antiSpamToken"].as_str().unwrap();
    let award =
        node.finalize(&ada, token, json!({ "quizResult": format!(" {} ", answer.to_lowercase()) })).await;
    assert_eq!((award.status, award.body["newScore"].as_u64()), (200, Some(15)), "{}", award.text);

    let token = node.issue_token(&ada, "demo_quiz").await;
    node.finalize(&ada, &token, json!({ "quizResult": "Atlantis" }))
        .await
        .assert_refused(422, "PROOF_INVALID");
    for (_, capital) in CAPITALS {
        node.finalize(&ada, &token, json!({ "quizResult": capital }))
            .await
            .assert_refused(409, "TOKEN_ALREADY_USED");
    }
    assert_eq!(node.board().await, [("ada".to_owned(), 15, 1)]);
    assert_ledger_matches(&stores).await;
    let row: (Value, bool) = sqlx::query_as(
        "SELECT proof_of_work, completed_at IS NULL AND refused_at IS NOT NULL FROM user_action WHERE refused_at IS NOT NULL",
    )
    .fetch_one(&node.app.database)
    .await
    .unwrap();
    assert_eq!(row, (json!({ "quizResult": "Atlantis" }), true));
}

#[tokio::test]
async fn a_malformed_proof_does_not_spend_the_token() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let ada = node.register("ada").await;
    let token = node.issue_token(&ada, "demo_quiz").await;
    let malformed = [
        (Value::Null, vec!["proof"]),
        (json!({}), vec!["proof.quizResult"]),
        (json!({ "quizResult": 7 }), vec!["proof.quizResult"]),
        (json!({ "quizResult": "x".repeat(201) }), vec!["proof.quizResult"]),
        (json!({ "quizResult": "Paris", "hint": 1 }), vec!["proof.hint"]),
        (json!(["Paris"]), vec!["proof"]),
        (json!("Paris"), vec!["proof"]),
    ];
    for (proof, fields) in malformed {
        let response = node.finalize(&ada, &token, proof).await;
        response.assert_refused(400, "VALIDATION_ERROR");
        assert_eq!(response.fields(), fields, "{}", response.text);
    }
    node.finalize(&ada, &token, json!({ "quizResult": "Atlantis" }))
        .await
        .assert_refused(422, "PROOF_INVALID");
}

#[tokio::test]
async fn hashcash_is_bound_to_one_token() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let ada = node.register("ada").await;
    let issued = node.init(&ada, "demo_hashcash").await;
    let (prefix, bits) = (&issued.body["challenge"]["prefix"], &issued.body["challenge"]["bits"]);
    assert_eq!(bits, 16);
    let prefix = prefix.as_str().unwrap();
    let nonce =
        (0u64..).find(|nonce| leading_zero_bits(&format!("{prefix}{nonce}")) >= 16).unwrap().to_string();
    let other = node.issue_token(&ada, "demo_hashcash").await;
    let stolen = node.finalize(&ada, &other, json!({ "nonce": nonce })).await;
    stolen.assert_refused(422, "PROOF_INVALID");
    let token = issued.body["antiSpamToken"].as_str().unwrap();
    let award = node.finalize(&ada, token, json!({ "nonce": nonce })).await;
    assert_eq!((award.status, award.body["newScore"].as_u64()), (200, Some(15)), "{}", award.text);
}

#[tokio::test]
async fn elapsed_uses_redis_clock() {
    let stores = TestStores::new().await;
    let path = stores.write_catalogue(
        "[[action]]\ntype = \"wait\"\nnumber = 1\npoints = 10\n\
         proof = { kind = \"elapsed\", min_ms = 300, max_ms = 20000 }\n",
    );
    let node = stores.start_node_with(|config| config.actions.file = path).await;
    let ada = node.register("ada").await;
    let too_early = node.issue_token(&ada, "wait").await;
    stores.clock.shift(60_000);
    node.finalize(&ada, &too_early, Value::Null).await.assert_refused(422, "PROOF_INVALID");

    let issued = node.init(&ada, "wait").await;
    let not_before = issued.body["challenge"]["notBefore"].as_str().unwrap().to_owned();
    assert!(*not_before < *issued.body["challenge"]["notAfter"].as_str().unwrap());
    let not_before: jiff::Timestamp = not_before.parse().unwrap();
    eventually("Redis' clock to pass notBefore", async || {
        (node.app.store.now_us().await.unwrap() / 1000 > not_before.as_millisecond()).then_some(())
    })
    .await;
    let token = issued.body["antiSpamToken"].as_str().unwrap();
    assert_eq!(node.finalize(&ada, token, Value::Null).await.status, 200);
}

#[tokio::test]
async fn concurrent_elapsed_tokens_award_one_at_a_time() {
    let stores = TestStores::with_fake_clock().await;
    let node = stores.start_node_with(|config| config.tokens.action_interval_seconds = 0).await;
    let (ada, bob) = (node.register("ada").await, node.register("bob").await);
    let start_ms = node.app.store.now_us().await.unwrap() / 1000;
    let set_clock = |seconds: i64| set_clock(&stores, start_ms + seconds * 1000);
    set_clock(0);
    let (mut tokens, mut tokens_of_bob) = (Vec::new(), Vec::new());
    for _ in 0..9 {
        tokens.push(node.issue_token(&ada, "demo_elapsed").await);
        tokens_of_bob.push(node.issue_token(&bob, "demo_elapsed").await);
    }
    set_clock(3);
    // Bob proves all tokens at once, but they are redeemed one at a time.
    let mut proven = Vec::new();
    for token in &tokens_of_bob {
        let response = node.prove(&bob, &json!({ "antiSpamToken": token })).await;
        assert_eq!(response.status, 201, "{}", response.text);
        proven.push(json!({ "actionToken": response.body["actionToken"] }));
    }
    let finalize = async |index: usize| node.finalize(&ada, &tokens[index], Value::Null).await;
    let redeem = async |index: usize| node.redeem(&bob, &proven[index]).await;
    for (seconds, index) in [(3, 0), (6, 1)] {
        set_clock(seconds);
        for award in [finalize(index).await, redeem(index).await] {
            assert_eq!(award.body["newScore"], 10 * (index + 1), "{}", award.text);
        }
        // A refusal does not spend the other tokens.
        for other in index + 1..9 {
            for refused in [finalize(other).await, redeem(other).await] {
                refused.assert_refused(429, "ACTION_LIMIT_REACHED");
                assert_eq!(refused.header("retry-after"), "3");
            }
        }
    }
}

/// A game server in Python may write `exp` as `time.time() + 60`. Points come from the catalogue, not from the attestation.
#[tokio::test]
async fn attestations_may_have_fractional_times_and_cannot_set_points() {
    let stores = TestStores::new().await;
    let signer = Signer::new(Algorithm::ES256, "a");
    std::fs::write(stores.folder.path().join("game.json"), jwks(&[&signer])).unwrap();
    let catalogue = "[keys.game]\njwks_file = \"game.json\"\n[[action]]\ntype = \"level\"\nnumber = 1\npoints = 1\n\
                     proof = { kind = \"signed\", keys = \"game\" }\n";
    let path = stores.write_catalogue(catalogue);
    let node = stores.start_node_with(|config| config.actions.file = path).await;
    let ada = node.register("ada").await;
    let now_s = (node.app.store.now_us().await.unwrap() / 1_000_000) as f64;
    let mut score = 0;
    for (not_before, expires, is_valid) in [
        (now_s - 1.5, now_s + 60.5, true),
        (now_s - 60.25, now_s + 60.999_999, true),
        // Rounded down, one is expired. The other is not valid yet.
        (now_s - 60.0, now_s + 0.5, false),
        (now_s + 40.25, now_s + 60.0, false),
    ] {
        let issued = node.init(&ada, "level").await;
        let attestation = signer.sign(&json!({
            "sub": ada.identity.user, "act": "level", "jti": issued.body["challenge"]["nonce"], "nbf": not_before,
            "exp": expires, "iat": now_s - 0.75, "points": 5000, "score": 9e9,
        }));
        let token = issued.body["antiSpamToken"].as_str().unwrap();
        let response = node.finalize(&ada, token, json!({ "attestation": attestation })).await;
        if is_valid {
            score += 1;
            assert_eq!(response.body["newScore"], score, "{not_before} {expires}: {}", response.text);
        } else {
            response.assert_refused(422, "PROOF_INVALID");
        }
    }
    assert_ledger_matches(&stores).await;
}
