//! An award's trace, from its request to the subscribers of another node, as a collector receives it; and the sampling decision.

mod collector_outage;
mod sampling;

use laurel::config::Config;
use serde_json::{Value, json};

use crate::harness::{Collector, Player, ReceivedSpan, TestNode, TestStores};
use crate::live::Client;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

/// Finalizes an action with a parent trace.
async fn finalize(node: &TestNode, player: &Player, action: &str, parent: &str) {
    let body = json!({ "antiSpamToken": node.issue_token(player, action).await, "proof": Value::Null });
    let headers = [("traceparent", parent), ("x-request-id", "x-test-request")];
    let answer = node.post_with("/api/v1/actions/finalize", &player.token, &headers, &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
}

fn trusting(collector: &Collector) -> impl Fn(&mut Config) {
    let endpoint = collector.endpoint.clone();
    move |config| {
        config.traces.endpoint.clone_from(&endpoint);
        config.traces.sample_ratio = 0.0;
        config.traces.trust_parent = true;
    }
}

fn has(span: &ReceivedSpan, attributes: &[(&str, &str)]) {
    for (name, value) in attributes {
        assert_eq!(span.attributes.get(*name).map(String::as_str), Some(*value), "{name} of {span:?}");
    }
}

#[tokio::test]
async fn an_award_is_one_trace_up_to_the_subscribers_of_another_node() {
    let (stores, collector) = (TestStores::new().await, Collector::start().await);
    let asked = stores.start_node_with(trusting(&collector)).await;
    let other = stores.start_node_with(trusting(&collector)).await;
    let players = asked.create_players(2).await;
    // A node's first board is no change.
    asked.award(&players[1], "watch_ad").await;
    let mut client = Client::connect(&other, &players[1]).await;
    let second = asked.board().await;
    client.wait_for_board(&second).await;

    finalize(&asked, &players[0], "complete_level", &format!("00-{TRACE}-{CALLER}-01")).await;
    let of_trace = |name: &'static str| move |it: &ReceivedSpan| it.trace == TRACE && it.name == name;
    let request = collector.wait_for("the request", of_trace("POST /api/v1/actions/finalize")).await;
    let proof = collector.wait_for("the proof", of_trace("verify proof")).await;
    let script = collector.wait_for("the script", of_trace("EVALSHA redeem")).await;
    let ledger = collector.wait_for("the ledger", of_trace("process outbox")).await;
    let at_other = |it: &ReceivedSpan| of_trace("receive board:global")(it) && it.node != request.node;
    let received = collector.wait_for("the board at the other node", at_other).await;
    let sent = collector.wait_for("the subscribers", of_trace("fan out")).await;

    let parents = [&request, &proof, &script, &ledger, &received, &sent].map(|it| it.parent.as_str());
    assert_eq!(parents, [CALLER, &request.id, &request.id, &script.id, &script.id, &received.id]);
    assert_eq!((script.node == request.node, sent.node == received.node), (true, true));
    has(&request, &[("http.response.status_code", "200"), ("laurel.request.id", "x-test-request")]);
    has(&proof, &[("laurel.proof.kind", "none"), ("laurel.proof.holds", "true")]);
    has(&script, &[("db.system.name", "redis"), ("db.stored_procedure.name", "redeem")]);
    has(&sent, &[("laurel.subscribers", "1")]);
    assert!(ledger.times_ns.0 >= script.times_ns.0 && ledger.times_ns.1 > ledger.times_ns.0);
    assert!(sent.times_ns.1 >= received.times_ns.1);
    // The registration, the other award and the polls are not traced.
    assert!(collector.spans().iter().all(|it| it.trace == TRACE && !it.failed));
    let exported = format!("{:?}", collector.spans());
    for secret in [&players[0].token, &players[0].identity.username] {
        assert!(!exported.contains(secret), "{exported}");
    }
}

/// A board that the throttle holds back keeps the trace of its award.
#[tokio::test]
async fn a_board_that_is_held_back_keeps_its_trace() {
    let (stores, collector) = (TestStores::new().await, Collector::start().await);
    let node = stores
        .start_node_with(|config| {
            trusting(&collector)(config);
            config.live.publish_interval_ms = 500;
        })
        .await;
    let players = node.create_players(3).await;
    node.award(&players[1], "watch_ad").await;
    let mut client = Client::connect(&node, &players[1]).await;
    client.wait_for_board(&node.board().await).await;
    // The first of these starts the throttle, if it is not running; the next ones are held back.
    node.award(&players[2], "watch_ad").await;
    finalize(&node, &players[0], "complete_level", &format!("00-{TRACE}-{CALLER}-01")).await;
    node.award(&players[2], "watch_ad").await;
    let received = collector.wait_for("the board", |it| it.name == "receive board:global").await;
    let sent = collector.wait_for("the subscribers", |it| it.name == "fan out").await;
    assert_eq!((sent.trace.as_str(), sent.parent), (TRACE, received.id));
    node.stop().await;
    let sweeps = collector.spans().iter().filter(|it| it.name == "fan out").count();
    assert_eq!(sweeps, 1, "one sweep per worker with subscribers");
}

/// A refusal that keeps the token reveals nothing about the proof, and neither does its span.
#[tokio::test]
async fn a_span_has_the_proof_result_only_if_the_token_is_spent() {
    let (stores, collector) = (TestStores::new().await, Collector::start().await);
    let node = stores.start_node_with(trusting(&collector)).await;
    let (player, mut redis_client) = (node.create_players(1).await.remove(0), stores.redis_client().await);
    let ban = format!("ban:{}", player.identity.user);
    let (parent, path) = (format!("00-{TRACE}-{CALLER}-01"), "/api/v1/actions/finalize");
    let headers = [("traceparent", parent.as_str())];
    let token = node.issue_token(&player, "demo_quiz").await;
    let body = json!({ "antiSpamToken": token, "proof": { "quizResult": "Atlantis" } });
    let _: redis::Value = redis_client.query(&format!("SET {ban} 1")).await;
    node.post_with(path, &player.token, &headers, &body).await.assert_refused(403, "FORBIDDEN");
    let _: i64 = redis_client.query(&format!("DEL {ban}")).await;
    node.post_with(path, &player.token, &headers, &body).await.assert_refused(422, "PROOF_INVALID");
    let is_judged =
        |it: &ReceivedSpan| it.name == "verify proof" && it.attributes.contains_key("laurel.proof.holds");
    let judged = collector.wait_for("the result", is_judged).await;
    has(&judged, &[("laurel.proof.kind", "quiz"), ("laurel.proof.holds", "false")]);
    node.stop().await;
    let all = collector.spans();
    let verified: Vec<_> = all.iter().filter(|it| it.name == "verify proof").collect();
    assert_eq!((verified.len(), verified.iter().filter(|it| is_judged(it)).count()), (2, 1), "{verified:?}");
}
