//! The trace of an award, from its request to the subscribers of another node, as a collector receives it.

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

/// Settings of a node that samples what its callers sample.
fn trusting(collector: &Collector) -> impl Fn(&mut Config) {
    let endpoint = collector.endpoint.clone();
    move |config| {
        config.traces.endpoint.clone_from(&endpoint);
        config.traces.sample_ratio = 0.0;
        config.traces.trust_parent = true;
    }
}

/// Checks attributes of a span.
#[track_caller]
fn assert_attributes(span: &ReceivedSpan, attributes: &[(&str, &str)]) {
    for (name, value) in attributes {
        assert_eq!(span.attributes.get(*name).map(String::as_str), Some(*value), "{name} of {span:?}");
    }
}

#[tokio::test]
async fn an_award_is_one_trace_up_to_the_subscribers_of_another_node() {
    let (stores, collector) = (TestStores::new().await, Collector::start().await);
    let one = stores.start_node_with(trusting(&collector)).await;
    let two = stores.start_node_with(trusting(&collector)).await;
    let players = one.create_players(2).await;
    // The first board of a node has no trace, so a change follows it.
    one.award(&players[1], "watch_ad").await;
    let mut client = Client::connect(&two, &players[1]).await;
    let board = one.board().await;
    client.wait_for_board(&board).await;

    finalize(&one, &players[0], "complete_level", &format!("00-{TRACE}-{CALLER}-01")).await;
    let of_trace = |name: &'static str| move |span: &ReceivedSpan| span.trace == TRACE && span.name == name;
    let request = collector.wait_for("the request", of_trace("POST /api/v1/actions/finalize")).await;
    let proof = collector.wait_for("the proof", of_trace("verify proof")).await;
    let script = collector.wait_for("the script", of_trace("EVALSHA redeem")).await;
    let ledger = collector.wait_for("the ledger", of_trace("process outbox")).await;
    let at_two = |span: &ReceivedSpan| of_trace("receive board:global")(span) && span.node != request.node;
    let received = collector.wait_for("the board at the second node", at_two).await;
    let sent = collector.wait_for("the subscribers", of_trace("fan out")).await;

    let parents = [&request, &proof, &script, &ledger, &received, &sent].map(|span| span.parent.as_str());
    assert_eq!(parents, [CALLER, &request.id, &request.id, &script.id, &script.id, &received.id]);
    assert_eq!((script.node == request.node, sent.node == received.node), (true, true));
    assert_attributes(
        &request,
        &[("http.response.status_code", "200"), ("laurel.request.id", "x-test-request")],
    );
    assert_attributes(&proof, &[("laurel.proof.kind", "none"), ("laurel.proof.holds", "true")]);
    assert_attributes(&script, &[("db.system.name", "redis"), ("db.stored_procedure.name", "redeem")]);
    assert_attributes(&sent, &[("laurel.subscribers", "1")]);
    assert!(ledger.times_ns.0 >= script.times_ns.0 && ledger.times_ns.1 > ledger.times_ns.0);
    assert!(sent.times_ns.1 >= received.times_ns.1);
    // The other award and the polls are not traced.
    assert!(collector.spans().iter().all(|span| span.trace == TRACE && !span.failed));
    let exported = format!("{:?}", collector.spans());
    for secret in [&players[0].token, &players[0].identity.username] {
        assert!(!exported.contains(secret), "{exported}");
    }
}

#[tokio::test]
async fn a_throttled_board_keeps_the_trace_of_its_award() {
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
    // The first award starts the throttle if it is not set, so the next boards are published later.
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

/// A refusal that keeps the token must not reveal the proof result, so its span does not have it either.
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
    let has_result = |span: &ReceivedSpan| {
        span.name == "verify proof" && span.attributes.contains_key("laurel.proof.holds")
    };
    let with_result = collector.wait_for("the result", has_result).await;
    assert_attributes(&with_result, &[("laurel.proof.kind", "quiz"), ("laurel.proof.holds", "false")]);
    node.stop().await;
    let spans = collector.spans();
    let proofs: Vec<_> = spans.iter().filter(|span| span.name == "verify proof").collect();
    let results = proofs.iter().filter(|span| has_result(span)).count();
    assert_eq!((proofs.len(), results), (2, 1), "{proofs:?}");
}
