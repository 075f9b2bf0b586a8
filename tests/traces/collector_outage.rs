//! A collector that is unreachable, or accepts connections and never answers. Neither requests nor the drain wait for it, and the log has
//! the trace ids.

use std::fs::File;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{CALLER, TRACE};
use crate::harness::{NodeProcess, TestStores, eventually};

async fn post(base: &str, path: &str, token: &str, body: &Value) -> Value {
    let request = reqwest::Client::new().post(format!("{base}{path}")).bearer_auth(token).json(body);
    let parent = format!("00-{TRACE}-{CALLER}-01");
    let request = request.header("traceparent", parent).header("x-request-id", "x-test-request");
    let answer = request.send().await.unwrap();
    assert!(answer.status().is_success(), "{path}: {}", answer.status());
    answer.json().await.unwrap()
}

#[tokio::test]
async fn requests_do_not_wait_for_the_collector_and_logs_have_trace_ids() {
    let stores = TestStores::new().await;
    // The kernel accepts connections, but nothing answers on them.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (index, address) in [silent.local_addr().unwrap(), closed].into_iter().enumerate() {
        let endpoint = format!("http://{address}");
        let path = stores.folder.path().join(format!("log{index}"));
        let settings = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
            ("LAUREL_TRACES__SAMPLE_RATIO", "1"),
            ("LAUREL_SERVER__DRAIN_SECONDS", "1"),
            ("LAUREL_LOG__FORMAT", "json"),
            ("RUST_LOG", "laurel=debug"),
        ];
        let mut node =
            NodeProcess::start_with_log(&stores.config, &settings, File::create(&path).unwrap()).await;
        let name = format!("player{index}");
        let body =
            json!({ "username": name, "email": format!("{name}@example.com"), "password": "correct horse" });
        let registered = post(&node.base, "/api/auth/register", "", &body).await;
        let token = registered["data"]["token"].as_str().unwrap();
        for round in 1..=5 {
            let issued =
                post(&node.base, "/api/v1/actions/init", token, &json!({ "actionType": "watch_ad" })).await;
            let body = json!({ "antiSpamToken": issued["antiSpamToken"] });
            let start = Instant::now();
            let answer = post(&node.base, "/api/v1/actions/finalize", token, &body).await;
            assert_eq!(answer["newScore"], 10 * round);
            assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
        }
        let failed = "laurel_trace_spans_total{result=\"failed\"}";
        eventually("the failure to be counted", async || {
            let metrics = reqwest::get(format!("{}/metrics", node.base)).await.unwrap().text().await.unwrap();
            metrics.contains(failed).then_some(())
        })
        .await;
        // One more request, so that the drain has spans to export.
        post(&node.base, "/api/v1/actions/init", token, &json!({ "actionType": "watch_ad" })).await;
        let stop = Instant::now();
        let code = tokio::task::spawn_blocking(move || node.terminate()).await.unwrap();
        assert_eq!(code, Some(0));
        assert!(stop.elapsed() < Duration::from_secs(10), "{:?}", stop.elapsed());

        let log = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
        let message = lines.iter().find(|line| line["route"] == "/api/v1/actions/finalize").expect(&log);
        assert_eq!((&message["request_id"], &message["trace_id"]), (&json!("x-test-request"), &json!(TRACE)));
        assert_eq!(message["span_id"].as_str().unwrap().len(), 16);
        assert_eq!(
            (&message["message"], &message["level"], &message["status"]),
            (&json!("request answered"), &json!("DEBUG"), &json!(200))
        );
        assert!(!log.contains(token));
        assert!(log.contains("span export failed"), "{log}");
    }
}
