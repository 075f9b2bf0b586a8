//! The rule of docs/proofs.md: a refusal that does not spend the token does not depend on the proof, neither in its response nor in a
//! counter, nor in whether the webhook is called. Each refusal is tried with a right and a wrong proof of two otherwise equal players.

mod setup;

use std::collections::BTreeMap;

use futures::future::join_all;
use serde_json::{Value, json};

use super::proofs;
use crate::harness::{TestNode, TestResponse, TestStores, assert_ledger_matches};
use setup::{Flow, OBSTACLES, Obstacle, Setup};

/// What a caller sees of a response, without its times.
fn visible(answer: &TestResponse) -> (u16, Value, Vec<String>) {
    let mut body = answer.body.clone();
    body["metadata"].as_object_mut().unwrap().remove("timestamp");
    if let Some(limit) = body["metadata"].get_mut("limit") {
        assert!(limit.as_object_mut().unwrap().remove("resetsAt").unwrap().is_string());
    }
    let mut headers: Vec<_> = answer.headers.keys().map(|it| it.as_str().to_owned()).collect();
    headers.sort();
    (answer.status, body, headers)
}

/// Counters that could reveal the proof, including the runs of the scripts.
fn counters(node: &TestNode) -> BTreeMap<String, i64> {
    let text = node.app.metrics.text();
    let counts = |line: &&str| {
        let is_script = line.starts_with("laurel_redis_script_duration_seconds_count")
            && ["redeem", "prove", "release"].iter().any(|script| line.contains(script));
        let named = ["proofs", "webhook_calls", "abuse_signals", "refusals", "rate_limited", "awards"];
        is_script || named.iter().any(|name| line.starts_with(&format!("laurel_{name}_total")))
    };
    let lines = text.lines().filter(counts).map(|line| line.rsplit_once(' ').unwrap());
    lines.map(|(name, value)| (name.to_owned(), value.parse().unwrap())).collect()
}

fn grown(before: &BTreeMap<String, i64>, after: BTreeMap<String, i64>) -> BTreeMap<String, i64> {
    let growth = after.into_iter().map(|(name, value)| {
        let by = value - before.get(&name).copied().unwrap_or(0);
        (name, by)
    });
    growth.filter(|(_, by)| *by != 0).collect()
}

#[tokio::test]
async fn refusals_that_keep_the_token_do_not_reveal_the_proof() {
    let mut setup = Setup::new().await;
    let cases: Vec<_> = OBSTACLES
        .iter()
        .flat_map(|(flow, obstacles)| obstacles.iter().map(move |obstacle| (*flow, *obstacle)))
        .flat_map(|(flow, obstacle)| {
            let actions = if flow == Flow::Update { &["raid"][..] } else { &["quiz", "raid", "duel"][..] };
            actions.iter().map(move |action| (flow, obstacle, *action))
        })
        // A proof that the node verifies itself is never reserved.
        .filter(|(_, obstacle, action)| *obstacle != Obstacle::Judging || *action != "quiz")
        .collect();
    let players = setup.open.create_players(2 * cases.len() as u64).await;
    for (case, pair) in cases.into_iter().zip(players.chunks(2)) {
        let (flow, obstacle, action) = case;
        let headers: &[_] = if obstacle == Obstacle::UsedKey { &[("idempotency-key", "k")] } else { &[] };
        let mut seen = Vec::new();
        for (player, right) in pair.iter().zip([true, false]) {
            let (path, mut body) = setup.request(flow, action, player, right).await;
            setup.obstruct(obstacle, flow, action, player, &mut body).await;
            let node = setup.node(obstacle);
            let (before, requests) = (counters(node), setup.backend.requests());
            let answer = node.post_with(path, &player.token, headers, &body).await;
            assert!(answer.status >= 400 && answer.code() != "PROOF_INVALID", "{case:?}: {}", answer.text);
            assert_eq!(setup.backend.requests(), requests, "{case:?}: the webhook was called");
            let growth = grown(&before, counters(node));
            assert!(
                !growth.keys().any(|name| name.contains("proofs") || name.contains("webhook")),
                "{growth:?}"
            );
            seen.push((visible(&answer), growth));

            // The token is still valid, for one guess. A new game session has another token.
            if obstacle == Obstacle::RateLimit
                || (flow == Flow::Update && matches!(obstacle, Obstacle::NoSession | Obstacle::OtherSession))
            {
                continue;
            }
            setup.clear(obstacle, action, player, &mut body).await;
            let retried = setup.open.post(path, &player.token, &body).await;
            let wanted = if right { 200..202 } else { 422..423 };
            assert!(wanted.contains(&retried.status), "{case:?}: {}", retried.text);
            // The webhook is not called after a failed quiz, and otherwise once.
            let calls = usize::from(action == "raid" || (action == "duel" && right));
            assert_eq!(setup.backend.requests() - requests, calls, "{case:?}");
            if !right {
                setup.open.post(path, &player.token, &body).await.assert_refused(409, "TOKEN_ALREADY_USED");
            }
        }
        assert_eq!(seen[0], seen[1], "{case:?}");
    }
    assert_ledger_matches(&setup.stores).await;
}

/// Tries every choice of a built-in question with one token: no counter may reveal the right one.
#[tokio::test]
async fn a_quiz_cannot_be_solved_with_one_token() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let ada = node.register("ada").await;
    let issued = node.init(&ada, "demo_quiz").await;
    let challenge = &issued.body["challenge"];
    let right = proofs::answer(challenge["question"].as_str().unwrap());
    let before = counters(&node);
    // Some questions have no choices.
    let choices =
        challenge["choices"].as_array().cloned().unwrap_or_else(|| vec![json!("Atlantis"), json!(right)]);
    for choice in &choices {
        let body = json!({
            "antiSpamToken": issued.body["antiSpamToken"], "sessionId": "sess_bogus", "proof": { "quizResult": choice },
        });
        let refused = node.post("/api/v1/action-tokens", &ada.token, &body).await;
        refused.assert_refused(404, "TOKEN_NOT_FOUND");
    }
    let growth = grown(&before, counters(&node));
    assert!(growth.keys().all(|it| !it.starts_with("laurel_proofs")), "{growth:?}");
    let token = issued.body["antiSpamToken"].as_str().unwrap();
    assert_eq!(node.finalize(&ada, token, json!({ "quizResult": right })).await.status, 200);
    let holds = "laurel_proofs_total{kind=\"quiz\",result=\"holds\"}";
    assert_eq!(grown(&before, counters(&node)).get(holds), Some(&1));
    // A replay is not counted again.
    let body = json!({ "antiSpamToken": node.issue_token(&ada, "demo_quiz").await, "proof": { "quizResult": "Atlantis" } });
    for _ in 0..3 {
        let key = [("idempotency-key", "k")];
        node.post_with("/api/v1/actions/finalize", &ada.token, &key, &body)
            .await
            .assert_refused(422, "PROOF_INVALID");
    }
    let fails = "laurel_proofs_total{kind=\"quiz\",result=\"fails\"}";
    assert_eq!(grown(&before, counters(&node)).get(fails), Some(&1));
}

/// Points that the catalogue can give, but not for this proof.
#[tokio::test]
async fn wrong_points_fail_the_proof() {
    let setup = Setup::new().await;
    let (node, players) = (&setup.open, setup.open.create_players(3).await);
    for (player, points, wanted) in [(&players[0], 10, 422), (&players[1], 40, 200), (&players[2], 11, 400)] {
        let (path, mut body) = setup.request(Flow::Update, "raid", player, true).await;
        body["points"] = json!(points);
        let answer = node.post(path, &player.token, &body).await;
        assert_eq!(answer.status, wanted, "{points}: {}", answer.text);
        body["points"] = json!(40);
        let again = node.post(path, &player.token, &body).await;
        assert_eq!(again.status, if wanted == 400 { 200 } else { 409 }, "{points}: {}", again.text);
    }
}

/// Of concurrent guesses with one token, the webhook gets one.
#[tokio::test(flavor = "multi_thread")]
async fn concurrent_guesses_are_verified_one_at_a_time() {
    let setup = Setup::new().await;
    for (flow, player) in
        [Flow::Finalize, Flow::Prove, Flow::Update].into_iter().zip(setup.open.create_players(3).await)
    {
        let (path, body) = setup.request(flow, "raid", &player, false).await;
        let requests = setup.backend.requests();
        let nodes = [&setup.open, &setup.capped];
        let guesses = (0..12).map(|number| nodes[number % 2].post(path, &player.token, &body));
        let answers = join_all(guesses).await;
        let count = |status: u16| answers.iter().filter(|it| it.status == status).count();
        assert_eq!((count(422), count(409) + count(503)), (1, 11), "{answers:#?}");
        assert_eq!(setup.backend.requests(), requests + 1);
        for busy in answers.iter().filter(|it| it.status == 503) {
            assert!(
                busy.text.contains("is being verified") && !busy.header("retry-after").is_empty(),
                "{busy:?}"
            );
        }
    }
}
