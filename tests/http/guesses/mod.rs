//! The rule of docs/proofs.md: no refusal that leaves the token depends on the proof, in its answer, in a counter, or in whether the
//! webhook is asked. Each refusal meets a right and a wrong proof, of two players who are alike in all else.

mod stand;

use std::collections::BTreeMap;

use futures::future::join_all;
use serde_json::{Value, json};

use super::proofs;
use crate::harness::{Answer, TestNode, World, assert_verified};
use stand::{Flow, OBSTACLES, Obstacle, Stand};

/// What a caller can tell of an answer: all but its moments and its id.
fn told(answer: &Answer) -> (u16, Value, Vec<String>) {
    let mut body = answer.body.clone();
    body["metadata"].as_object_mut().unwrap().remove("timestamp");
    if let Some(limit) = body["metadata"].get_mut("limit") {
        assert!(limit.as_object_mut().unwrap().remove("resetsAt").unwrap().is_string());
    }
    let mut headers: Vec<_> = answer.headers.keys().map(|it| it.as_str().to_owned()).collect();
    headers.sort();
    (answer.status, body, headers)
}

/// Counters that could tell of a proof, the runs of the scripts among them.
fn counters(node: &TestNode) -> BTreeMap<String, i64> {
    let text = node.app.metrics.text();
    let counts = |line: &&str| {
        let is_script = line.starts_with("laurel_redis_script_duration_seconds_count")
            && ["redeem", "prove", "release"].iter().any(|it| line.contains(it));
        let named = ["proofs", "webhook_calls", "suspicions", "refusals", "rate_limited", "awards"];
        is_script || named.iter().any(|it| line.starts_with(&format!("laurel_{it}_total")))
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
async fn no_refusal_that_leaves_the_token_tells_of_the_proof() {
    let mut stand = Stand::new().await;
    let cases: Vec<_> = OBSTACLES
        .iter()
        .flat_map(|(flow, obstacles)| obstacles.iter().map(move |it| (*flow, *it)))
        .flat_map(|(flow, obstacle)| {
            let actions = if flow == Flow::Update { &["raid"][..] } else { &["quiz", "raid", "duel"][..] };
            actions.iter().map(move |action| (flow, obstacle, *action))
        })
        // What is judged here is never reserved.
        .filter(|(_, obstacle, action)| *obstacle != Obstacle::Judging || *action != "quiz")
        .collect();
    let players = stand.open.players(2 * cases.len() as u64).await;
    for (case, pair) in cases.into_iter().zip(players.chunks(2)) {
        let (flow, obstacle, action) = case;
        let headers: &[_] = if obstacle == Obstacle::UsedKey { &[("idempotency-key", "k")] } else { &[] };
        let mut seen = Vec::new();
        for (player, right) in pair.iter().zip([true, false]) {
            let (path, mut body) = stand.request(flow, action, player, right).await;
            stand.obstruct(obstacle, flow, action, player, &mut body).await;
            let node = stand.node(obstacle);
            let (before, asked) = (counters(node), stand.backend.asked());
            let answer = node.post_with(path, &player.token, headers, &body).await;
            assert!(answer.status >= 400 && answer.code() != "PROOF_INVALID", "{case:?}: {}", answer.text);
            assert_eq!(stand.backend.asked(), asked, "{case:?}: the webhook was asked");
            let growth = grown(&before, counters(node));
            assert!(!growth.keys().any(|it| it.contains("proofs") || it.contains("webhook")), "{growth:?}");
            seen.push((told(&answer), growth));

            // The token is still there, and one guess is all that it is good for. A game's other session has another one.
            if obstacle == Obstacle::RateLimit
                || (flow == Flow::Update && matches!(obstacle, Obstacle::NoSession | Obstacle::OtherSession))
            {
                continue;
            }
            stand.clear(obstacle, action, player, &mut body).await;
            let judged = stand.open.post(path, &player.token, &body).await;
            let wanted = if right { 200..202 } else { 422..423 };
            assert!(wanted.contains(&judged.status), "{case:?}: {}", judged.text);
            // Of a quiz that failed the webhook is not asked; else once.
            let asks = usize::from(action == "raid" || (action == "duel" && right));
            assert_eq!(stand.backend.asked() - asked, asks, "{case:?}");
            if !right {
                stand.open.post(path, &player.token, &body).await.assert_refused(409, "TOKEN_ALREADY_USED");
            }
        }
        assert_eq!(seen[0], seen[1], "{case:?}");
    }
    assert_verified(&stand.world).await;
}

/// A quiz of the catalogue that ships, one token, every choice: the counter told which one held.
#[tokio::test]
async fn a_quiz_cannot_be_solved_with_one_token() {
    let world = World::new().await;
    let node = world.node().await;
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
    // What is told again is not judged again.
    let body = json!({ "antiSpamToken": node.token(&ada, "demo_quiz").await, "proof": { "quizResult": "Atlantis" } });
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
async fn points_that_a_proof_is_not_worth_are_a_proof_that_fails() {
    let stand = Stand::new().await;
    let (node, players) = (&stand.open, stand.open.players(3).await);
    for (player, points, wanted) in [(&players[0], 10, 422), (&players[1], 40, 200), (&players[2], 11, 400)] {
        let (path, mut body) = stand.request(Flow::Update, "raid", player, true).await;
        body["points"] = json!(points);
        let answer = node.post(path, &player.token, &body).await;
        assert_eq!(answer.status, wanted, "{points}: {}", answer.text);
        body["points"] = json!(40);
        let again = node.post(path, &player.token, &body).await;
        assert_eq!(again.status, if wanted == 400 { 200 } else { 409 }, "{points}: {}", again.text);
    }
}

/// However many guess at once with one token, the webhook judges one of them.
#[tokio::test(flavor = "multi_thread")]
async fn guesses_at_once_are_judged_one_at_a_time() {
    let stand = Stand::new().await;
    for (flow, player) in
        [Flow::Finalize, Flow::Prove, Flow::Update].into_iter().zip(stand.open.players(3).await)
    {
        let (path, body) = stand.request(flow, "raid", &player, false).await;
        let asked = stand.backend.asked();
        let nodes = [&stand.open, &stand.capped];
        let guesses = (0..12).map(|it| nodes[it % 2].post(path, &player.token, &body));
        let answers = join_all(guesses).await;
        let count = |status: u16| answers.iter().filter(|it| it.status == status).count();
        assert_eq!((count(422), count(409) + count(503)), (1, 11), "{answers:#?}");
        assert_eq!(stand.backend.asked(), asked + 1);
        for busy in answers.iter().filter(|it| it.status == 503) {
            assert!(
                busy.text.contains("is being judged") && !busy.header("retry-after").is_empty(),
                "{busy:?}"
            );
        }
    }
}
