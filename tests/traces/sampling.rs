//! The sampling decision of a node, and what it sends to the outbox and to webhooks.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::{CALLER, TRACE, finalize, trusting};
use crate::harness::{Collector, TestNode, TestStores};

/// Makes an award with this parent. Returns its outbox entries, which are read before the ledger acknowledges them.
async fn award_and_read_outbox(stores: &TestStores, node: &TestNode, parent: &str) -> String {
    let (mut redis_client, players) = (stores.redis_client().await, node.create_players(1).await);
    let lock = stores.block_ledger_writes().await;
    finalize(node, &players[0], "watch_ad", parent).await;
    let entries: redis::Value = redis_client.query("XRANGE outbox - +").await;
    drop(lock);
    node.wait_for_ledger().await;
    format!("{entries:?}")
}

#[tokio::test]
async fn an_unsampled_request_leaves_no_trace_context() {
    let (stores, collector) = (TestStores::new().await, Collector::start().await);
    let node = stores
        .start_node_with(|config| {
            trusting(&collector)(config);
            config.traces.trust_parent = false;
        })
        .await;
    let sampled = format!("00-{TRACE}-{CALLER}-01");
    let outbox = award_and_read_outbox(&stores, &node, &sampled).await;
    assert!(outbox.contains("awarded") && !outbox.contains("trace"), "{outbox}");
    assert_eq!(node.app.metrics.trace_spans.with_label_values(&["sent"]).get(), 0);
    node.stop().await;
    assert_eq!(collector.spans().len(), 0, "the flag of an untrusted caller is ignored");

    let off = stores.start_node().await;
    let outbox = award_and_read_outbox(&stores, &off, &sampled).await;
    assert!(outbox.contains("awarded") && !outbox.contains("trace"), "{outbox}");
    off.stop().await;

    let trusting = stores.start_node_with(trusting(&collector)).await;
    let outbox = award_and_read_outbox(&stores, &trusting, &sampled).await;
    assert!(outbox.contains(&format!("00-{TRACE}-")), "{outbox}");
    trusting.stop().await;
    assert!(
        collector.spans().iter().any(|span| span.name == "process outbox"),
        "the last spans are exported at the stop"
    );
}

#[tokio::test]
async fn an_untrusted_parent_does_not_decide_about_sampling() {
    let (stores, collector) = (TestStores::new().await, Collector::start().await);
    let node = stores
        .start_node_with(|config| {
            trusting(&collector)(config);
            config.traces.trust_parent = false;
            config.traces.sample_ratio = 1.0;
        })
        .await;
    let player = &node.create_players(1).await[0];
    let malformed = format!("00-{}-{CALLER}-01", TRACE.to_uppercase());
    finalize(&node, player, "watch_ad", &malformed).await;
    let is_request = |name: &str| name == "POST /api/v1/actions/finalize";
    let new = collector.wait_for("a new trace", |span| is_request(&span.name)).await;
    assert_eq!(new.parent, "");
    assert!(!new.trace.eq_ignore_ascii_case(TRACE) && new.trace != "0".repeat(32));

    finalize(&node, player, "watch_ad", &format!("00-{TRACE}-{CALLER}-00")).await;
    let continued =
        collector.wait_for("the caller's trace", |span| span.trace == TRACE && is_request(&span.name)).await;
    assert_eq!(continued.parent, CALLER);

    node.send(reqwest::Method::from_bytes(b"BREW").unwrap(), "/api/nowhere", &[], Vec::new()).await;
    let unknown = collector.wait_for("an unknown route", |span| span.name == "HTTP").await;
    assert_eq!((unknown.attributes["http.request.method"].as_str(), unknown.failed), ("_OTHER", false));
}

/// Starts a webhook backend that records the trace headers of its requests.
async fn start_backend() -> (String, Arc<Mutex<Vec<String>>>) {
    type Parents = Arc<Mutex<Vec<String>>>;
    async fn verify(State(parents): State<Parents>, headers: HeaderMap) -> &'static str {
        let text = |name: &str| headers.get(name).map_or("", |value| value.to_str().unwrap());
        parents.lock().push(format!("{} {}", text("traceparent"), text("tracestate")));
        r#"{"valid":true}"#
    }
    let (listener, parents) =
        (tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap(), Parents::default());
    let url = format!("http://{}/verify", listener.local_addr().unwrap());
    let router = Router::new().route("/verify", post(verify)).with_state(parents.clone());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (url, parents)
}

#[tokio::test]
async fn a_webhook_call_has_the_trace_context_sampled_or_not() {
    let (stores, collector) = (TestStores::new().await, Collector::start().await);
    let (url, parents) = start_backend().await;
    let catalogue = stores.folder.path().join("actions.toml");
    let action = format!(
        "[[action]]\ntype = \"raid\"\nnumber = 1\npoints = 10\n\
         proof = {{ kind = \"webhook\", url = \"{url}\", secret = \"whsec_{}\" }}\n",
        "A".repeat(32)
    );
    std::fs::write(&catalogue, action).unwrap();
    let node = stores
        .start_node_with(|config| {
            trusting(&collector)(config);
            config.actions.file = catalogue.to_str().unwrap().to_owned();
        })
        .await;
    let player = &node.create_players(1).await[0];
    for flags in ["00", "01"] {
        let body = json!({ "antiSpamToken": node.issue_token(player, "raid").await, "proof": { "loot": 7 } });
        let parent = format!("00-{TRACE}-{CALLER}-{flags}");
        let headers = [("traceparent", parent.as_str()), ("tracestate", "game=1")];
        let answer = node.post_with("/api/v1/actions/finalize", &player.token, &headers, &body).await;
        assert_eq!(answer.body["success"], Value::Bool(true), "{}", answer.text);
    }
    let call = collector.wait_for("the webhook call", |span| span.name == "POST").await;
    let proof = collector.wait_for("the proof", |span| span.name == "verify proof").await;
    assert_eq!((call.parent, call.attributes["http.response.status_code"].as_str()), (proof.id, "200"));
    let parents = parents.lock().clone();
    assert!(
        parents[0].starts_with(&format!("00-{TRACE}-")) && parents[0].ends_with("-00 game=1"),
        "{parents:?}"
    );
    assert_eq!(parents[1], format!("00-{TRACE}-{}-01 game=1", call.id));
}
