//! Refusals must not be an oracle for proofs (docs/proofs.md): one that does not spend the token does not depend on the proof. Its
//! response, the counters and the calls of the webhook are the same. Each case has two equal players, one with a right and one with a
//! wrong proof.

mod setup;

use std::collections::BTreeMap;

use futures::future::join_all;
use serde_json::{Value, json};

use super::proofs;
use crate::harness::{TestNode, TestResponse, TestStores, assert_ledger_matches};
use setup::{Flow, OBSTACLES, Obstacle, Setup};

/// The parts of a response that do not depend on the time.
fn without_times(response: &TestResponse) -> (u16, Value, Vec<String>) {
    let mut body = response.body.clone();
    body["metadata"].as_object_mut().unwrap().remove("timestamp");
    if let Some(limit) = body["metadata"].get_mut("limit") {
        assert!(limit.as_object_mut().unwrap().remove("resetsAt").unwrap().is_string());
    }
    let mut headers: Vec<_> = response.headers.keys().map(|it| it.as_str().to_owned()).collect();
    headers.sort();
    (response.status, body, headers)
}

/// The counters that could reveal whether a proof is right, and the number of script runs.
fn counters(node: &TestNode) -> BTreeMap<String, i64> {
    let text = node.app.metrics.text();
    let is_counter = |line: &&str| {
        let is_script = line.starts_with("laurel_redis_script_duration_seconds_count")
            && ["redeem", "prove", "release"].iter().any(|script| line.contains(script));
        let names = ["proofs", "webhook_calls", "abuse_signals", "refusals", "rate_limited", "awards"];
        is_script || names.iter().any(|name| line.starts_with(&format!("laurel_{name}_total")))
    };
    let lines = text.lines().filter(is_counter).map(|line| line.rsplit_once(' ').unwrap());
    lines.map(|(name, value)| (name.to_owned(), value.parse().unwrap())).collect()
}

/// The counters that have grown, and by how much.
fn growth(before: &BTreeMap<String, i64>, after: BTreeMap<String, i64>) -> BTreeMap<String, i64> {
    let differences = after.into_iter().map(|(name, value)| {
        let difference = value - before.get(&name).copied().unwrap_or(0);
        (name, difference)
    });
    differences.filter(|(_, difference)| *difference != 0).collect()
}

#[tokio::test]
async fn refusals_that_do_not_spend_the_token_do_not_reveal_the_proof() {
    let mut setup = Setup::new().await;
    let cases: Vec<_> = OBSTACLES
        .iter()
        .flat_map(|(flow, obstacles)| obstacles.iter().map(move |obstacle| (*flow, *obstacle)))
        .flat_map(|(flow, obstacle)| {
            let actions = if flow == Flow::Update { &["raid"][..] } else { &["quiz", "raid", "duel"][..] };
            actions.iter().map(move |action| (flow, obstacle, *action))
        })
        // A token is reserved only while the webhook verifies its proof.
        .filter(|(_, obstacle, action)| *obstacle != Obstacle::Reserved || *action != "quiz")
        .collect();
    let players = setup.open.create_players(2 * cases.len() as u64).await;
    for (case, pair) in cases.into_iter().zip(players.chunks(2)) {
        let (flow, obstacle, action) = case;
        let headers: &[_] = if obstacle == Obstacle::UsedKey { &[("idempotency-key", "k")] } else { &[] };
        let mut observations = Vec::new();
        for (player, right) in pair.iter().zip([true, false]) {
            let (path, mut body) = setup.request(flow, action, player, right).await;
            setup.obstruct(obstacle, flow, action, player, &mut body).await;
            let node = setup.node(obstacle);
            let (before, requests) = (counters(node), setup.backend.requests());
            let response = node.post_with(path, &player.token, headers, &body).await;
            assert!(
                response.status >= 400 && response.code() != "PROOF_INVALID",
                "{case:?}: {}",
                response.text
            );
            assert_eq!(setup.backend.requests(), requests, "{case:?}: the webhook was called");
            let grown = growth(&before, counters(node));
            assert!(
                !grown.keys().any(|name| name.contains("proofs") || name.contains("webhook")),
                "{grown:?}"
            );
            observations.push((without_times(&response), grown));

            // The token is still valid for one attempt. A new game session has another token.
            if obstacle == Obstacle::RateLimit
                || (flow == Flow::Update && matches!(obstacle, Obstacle::NoSession | Obstacle::OtherSession))
            {
                continue;
            }
            setup.clear(obstacle, action, player, &mut body).await;
            let retried = setup.open.post(path, &player.token, &body).await;
            let expected = if right { 200..202 } else { 422..423 };
            assert!(expected.contains(&retried.status), "{case:?}: {}", retried.text);
            // The webhook is not called after a failed quiz, and otherwise once.
            let calls = usize::from(action == "raid" || (action == "duel" && right));
            assert_eq!(setup.backend.requests() - requests, calls, "{case:?}");
            if !right {
                setup.open.post(path, &player.token, &body).await.assert_refused(409, "TOKEN_ALREADY_USED");
            }
        }
        assert_eq!(observations[0], observations[1], "{case:?}");
    }
    assert_ledger_matches(&setup.stores).await;
}

/// Tries every choice of a question with one token. No counter may reveal the right one.
#[tokio::test]
async fn a_quiz_cannot_be_solved_with_one_token() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let ada = node.register("ada").await;
    let issued = node.init(&ada, "demo_quiz").await;
    let challenge = &issued.body["challenge"];
    let right = proofs::quiz_answer(challenge["question"].as_str().unwrap());
    let before = counters(&node);
    // Not every question has choices.
    let choices =
        challenge["choices"].as_array().cloned().unwrap_or_else(|| vec![json!("Atlantis"), json!(right)]);
    for choice in &choices {
        let body = json!({
            "antiSpamToken": issued.body["antiSpamToken"], "sessionId": "sess_bogus", "proof": { "quizResult": choice },
        });
        let refused = node.prove(&ada, &body).await;
        refused.assert_refused(404, "TOKEN_NOT_FOUND");
    }
    let grown = growth(&before, counters(&node));
    assert!(grown.keys().all(|it| !it.starts_with("laurel_proofs")), "{grown:?}");
    let token = issued.body["antiSpamToken"].as_str().unwrap();
    assert_eq!(node.finalize(&ada, token, json!({ "quizResult": right })).await.status, 200);
    let valid = "laurel_proofs_total{kind=\"quiz\",result=\"valid\"}";
    assert_eq!(growth(&before, counters(&node)).get(valid), Some(&1));
    // A replay is not counted again.
    let body = json!({ "antiSpamToken": node.issue_token(&ada, "demo_quiz").await, "proof": { "quizResult": "Atlantis" } });
    for _ in 0..3 {
        let key = [("idempotency-key", "k")];
        node.post_with("/api/v1/actions/finalize", &ada.token, &key, &body)
            .await
            .assert_refused(422, "PROOF_INVALID");
    }
    let invalid = "laurel_proofs_total{kind=\"quiz\",result=\"invalid\"}";
    assert_eq!(growth(&before, counters(&node)).get(invalid), Some(&1));
}

/// The points are in the catalogue, but not for this proof.
#[tokio::test]
async fn wrong_points_fail_the_proof() {
    let setup = Setup::new().await;
    let (node, players) = (&setup.open, setup.open.create_players(3).await);
    for (player, points, status) in [(&players[0], 10, 422), (&players[1], 40, 200), (&players[2], 11, 400)] {
        let (path, mut body) = setup.request(Flow::Update, "raid", player, true).await;
        body["points"] = json!(points);
        let response = node.post(path, &player.token, &body).await;
        assert_eq!(response.status, status, "{points}: {}", response.text);
        body["points"] = json!(40);
        let repeat = node.post(path, &player.token, &body).await;
        assert_eq!(repeat.status, if status == 400 { 200 } else { 409 }, "{points}: {}", repeat.text);
    }
}

/// Of concurrent proofs for one token, the webhook gets one.
#[tokio::test(flavor = "multi_thread")]
async fn concurrent_proofs_for_one_token_are_verified_one_at_a_time() {
    let setup = Setup::new().await;
    for (flow, player) in
        [Flow::Finalize, Flow::Prove, Flow::Update].into_iter().zip(setup.open.create_players(3).await)
    {
        let (path, body) = setup.request(flow, "raid", &player, false).await;
        let requests = setup.backend.requests();
        let nodes = [&setup.open, &setup.capped];
        let attempts = (0..12).map(|number| nodes[number % 2].post(path, &player.token, &body));
        let responses = join_all(attempts).await;
        let count = |status: u16| responses.iter().filter(|it| it.status == status).count();
        assert_eq!((count(422), count(409) + count(503)), (1, 11), "{responses:#?}");
        assert_eq!(setup.backend.requests(), requests + 1);
        for busy in responses.iter().filter(|it| it.status == 503) {
            assert!(
                busy.text.contains("is being verified") && !busy.header("retry-after").is_empty(),
                "{busy:?}"
            );
        }
    }
}
