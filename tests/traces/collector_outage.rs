//! A collector that is unreachable, or accepts connections and never answers: neither players nor the drain wait for it; the log has the ids.

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
    // The kernel accepts connections, and nothing answers on them.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (turn, address) in [silent.local_addr().unwrap(), gone].into_iter().enumerate() {
        let endpoint = format!("http://{address}");
        let path = stores.folder.path().join(format!("log{turn}"));
        let settings = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
            ("LAUREL_TRACES__SAMPLE_RATIO", "1"),
            ("LAUREL_SERVER__DRAIN_SECONDS", "1"),
            ("LAUREL_LOG__FORMAT", "json"),
            ("RUST_LOG", "laurel=debug"),
        ];
        let mut node =
            NodeProcess::start_with_log(&stores.config, &settings, File::create(&path).unwrap()).await;
        let name = format!("player{turn}");
        let body =
            json!({ "username": name, "email": format!("{name}@example.com"), "password": "correct horse" });
        let registered = post(&node.base, "/api/auth/register", "", &body).await;
        let token = registered["data"]["token"].as_str().unwrap();
        for round in 1..=5 {
            let begun =
                post(&node.base, "/api/v1/actions/init", token, &json!({ "actionType": "watch_ad" })).await;
            let body = json!({ "antiSpamToken": begun["antiSpamToken"] });
            let asked = Instant::now();
            let answer = post(&node.base, "/api/v1/actions/finalize", token, &body).await;
            assert_eq!(answer["newScore"], 10 * round);
            assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
        }
        let failed = "laurel_trace_spans_total{result=\"failed\"}";
        eventually("the failure to be counted", async || {
            let metrics = reqwest::get(format!("{}/metrics", node.base)).await.unwrap().text().await.unwrap();
            metrics.contains(failed).then_some(())
        })
        .await;
        // One more request, so that there are spans to export at the end.
        post(&node.base, "/api/v1/actions/init", token, &json!({ "actionType": "watch_ad" })).await;
        let stopping = Instant::now();
        let code = tokio::task::spawn_blocking(move || node.terminate()).await.unwrap();
        assert_eq!(code, Some(0));
        assert!(stopping.elapsed() < Duration::from_secs(10), "{:?}", stopping.elapsed());

        let log = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<Value> = log.lines().map(|it| serde_json::from_str(it).expect(it)).collect();
        let answered = lines.iter().find(|it| it["route"] == "/api/v1/actions/finalize").expect(&log);
        assert_eq!(
            (&answered["request_id"], &answered["trace_id"]),
            (&json!("x-test-request"), &json!(TRACE))
        );
        assert_eq!(answered["span_id"].as_str().unwrap().len(), 16);
        assert_eq!(
            (&answered["message"], &answered["level"], &answered["status"]),
            (&json!("request answered"), &json!("DEBUG"), &json!(200))
        );
        assert!(!log.contains(token));
        assert!(log.contains("span export failed"), "{log}");
    }
}
