//! The metrics of a node, and the alert rules: promtool checks both.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::harness::{Player, TestNode, TestStores, eventually};
use crate::live::clients::{ALL, Protocol, Subscriber};

/// Runs `promtool`. Returns whether it succeeded, and its output.
fn run_promtool(arguments: &[&str], input: &str) -> (bool, String) {
    let mut command = Command::new("promtool");
    command.args(arguments).current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/prometheus"));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("make test installs it");
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    (output.status.success(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

/// Makes one award through each API.
async fn award_through_each_api(node: &TestNode, player: &Player) {
    node.award(player, "watch_ad").await;
    let proven = node.prove(player, &json!({ "actionType": "watch_ad" })).await;
    let redeem = json!({ "actionToken": proven.body["actionToken"] });
    assert_eq!(node.redeem(player, &redeem).await.status, 200);
    let started = node.start_game(player).await;
    let token = &started.body["data"]["actionToken"];
    let update = json!({ "actionToken": token, "actionType": "watch_ad", "points": 10 });
    assert_eq!(node.update_score(player, &update).await.status, 200);
    node.board().await;
}

#[tokio::test]
async fn metrics_pass_promtool() {
    let stores = TestStores::new().await;
    let node = stores.start_node_with(|config| config.limits.sockets_per_user = 1).await;
    let players = node.create_players(ALL.len() as u64).await;
    let mut subscribers = Vec::new();
    for (protocol, player) in ALL.into_iter().zip(&players) {
        let mut subscriber = Subscriber::open(&node.base, protocol, &player.token).await;
        subscriber.wait_for("leaderboard_updated").await;
        subscribers.push(subscriber);
    }
    assert!(Subscriber::try_open(&node.base, Protocol::WebSocket, &players[0].token, None).await.is_none());
    award_through_each_api(&node, &players[0]).await;
    node.finalize(&players[0], "forged", Value::Null).await.assert_refused(401, "INVALID_TOKEN");
    for path in ["/made-up/1", "/made-up/2"] {
        assert_eq!(node.get(path).await.status, 404);
    }
    let lines = [
        concat!("laurel_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
        "laurel_store_up{store=\"redis\"} 1",
        "laurel_store_up{store=\"postgres\"} 1",
        "laurel_http_request_duration_seconds_count{method=\"GET\",route=\"unmatched\",status=\"404\"} 2",
        "laurel_awards_total{action=\"watch_ad\"} 3",
        "laurel_sockets_opened_total{protocol=\"websocket\"} 1",
        "laurel_sockets_opened_total{protocol=\"events\"} 1",
        "laurel_subscribers_refused_total{reason=\"limit\"} 1",
        "laurel_delivery_lag_seconds_bucket{le=\"1\"}",
        "laurel_postgres_call_duration_seconds_count{operation=\"write_ledger\",result=\"ok\"}",
        "laurel_ledger_lag_seconds_count",
        "laurel_boards_lag_seconds 0",
        "laurel_boards_applied_total 3",
        "laurel_board_loads_total{board=\"daily\"} 1",
        "laurel_board_entries{board=\"weekly\"} 1",
        "laurel_board_close_overdue_seconds{board=\"monthly\"} 0",
        "laurel_runtime_workers",
        "process_open_fds",
        "process_max_fds",
    ];
    for line in lines {
        eventually(line, async || node.get("/metrics").await.text.contains(line).then_some(())).await;
    }
    // A board may be skipped if a newer one is ready.
    eventually("the delivery lag of a change", async || {
        node.award(&players[1], "watch_ad").await;
        (node.app.metrics.delivery_lag_seconds.get_sample_count() > 0).then_some(())
    })
    .await;
    let text = node.get("/metrics").await.text;
    assert!(!text.contains("made-up"), "labels must not have values from clients");
    assert_eq!(run_promtool(&["check", "metrics"], &text), (true, String::new()), "{text}");
    assert!(
        !run_promtool(&["check", "metrics"], "# TYPE awards counter\nawards 1\n").0,
        "promtool must find errors"
    );
}

/// An idle node has probes and background tasks only.
#[tokio::test]
async fn an_idle_node_has_at_most_600_series() {
    let stores = TestStores::with_shards(1).await;
    let node = stores.start_node().await;
    for path in ["/healthz", "/readyz", "/readyz/awards"] {
        assert_eq!(node.get(path).await.status, 200);
    }
    for operation in ["read_restrictions", "roll_up_users", "roll_up_sessions", "count_dead_letters"] {
        let series = format!("_count{{operation=\"{operation}\"");
        eventually(operation, async || node.get("/metrics").await.text.contains(&series).then_some(())).await;
    }
    let text = node.get("/metrics").await.text;
    let series = text.lines().filter(|it| !it.starts_with('#')).count();
    assert!(series < 600, "{series} series, {} bytes", text.len());
}

#[test]
fn alert_rules_pass_promtool() {
    let checks = [
        ["check", "config", "prometheus.yml"],
        ["check", "rules", "rules.yml"],
        ["test", "rules", "rules_test.yml"],
    ];
    for check in checks {
        let (passed, output) = run_promtool(&check, "");
        assert!(passed, "{output}");
    }
}

/// The rest of each line that starts with this prefix.
fn names(text: &str, prefix: &str) -> Vec<String> {
    let after = text.lines().filter_map(|it| it.trim_start().strip_prefix(prefix));
    after.map(|it| it.trim().to_owned()).collect()
}

#[test]
fn every_alert_has_a_runbook_and_a_test() {
    let sections = names(include_str!("../docs/operations.md"), "### ");
    let tests = include_str!("../deploy/prometheus/rules_test.yml");
    let alerts = names(include_str!("../deploy/prometheus/rules.yml"), "- alert: ");
    assert_eq!(sections, alerts, "docs/operations.md needs a section for each alert, in the same order");
    for alert in alerts {
        let fires = tests.contains(&format!("alertname=\"{alert}\""));
        let stays_silent = tests.contains(&format!("# {alert}: not yet"));
        assert!(
            fires && stays_silent,
            "{alert} needs a test in which it fires, and one in which it does not"
        );
    }
}

/// An alert on a metric that does not exist never fires.
#[test]
fn rules_and_docs_name_existing_metrics() {
    let declared = include_str!("../src/metrics.rs");
    let texts = [
        include_str!("../deploy/prometheus/rules.yml"),
        include_str!("../docs/operations.md"),
        include_str!("../docs/durability.md"),
    ];
    let words = texts.iter().flat_map(|text| text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')));
    for name in words.filter(|it| it.starts_with("laurel_")) {
        let suffixes = ["_bucket", "_count", "_sum"];
        let base = suffixes.iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name);
        assert!(declared.contains(&format!("= \"{base}\";")), "there is no {name}");
    }
}
