//! The dashboards of Grafana. A real Prometheus that scrapes two nodes under load runs their queries. Their limits and links match the alert
//! rules and docs/operations.md.

mod load;
mod prometheus;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use serde_json::Value;

use crate::action::webhook::Backend;
use crate::harness::{TEST_TIMEOUT, TestStores, eventually};
use crate::live::clients::ALL;
use load::{cause_outages, open_subscribers, play_forever, start_nodes};
use prometheus::Prometheus;

const DASHBOARDS: [&str; 3] = [
    include_str!("../deploy/grafana/dashboards/laurel-overview.json"),
    include_str!("../deploy/grafana/dashboards/laurel-cheating.json"),
    include_str!("../deploy/grafana/dashboards/laurel-stores.json"),
];
const OR_ZERO: &str = " or vector(0)";
const RULES: &str = include_str!("../deploy/prometheus/rules.yml");

/// All panels except headings, with their titles.
fn panels() -> Vec<(String, Value)> {
    let mut all = Vec::new();
    for text in DASHBOARDS {
        let dashboard: Value = serde_json::from_str(text).unwrap();
        let title = dashboard["title"].as_str().unwrap();
        let panels = dashboard["panels"].as_array().unwrap().iter().filter(|panel| panel["type"] != "row");
        all.extend(
            panels.map(|panel| (format!("{title}: {}", panel["title"].as_str().unwrap()), panel.clone())),
        );
    }
    assert!(all.len() > 40);
    all
}

fn queries(panel: &Value) -> impl Iterator<Item = &str> {
    panel["targets"].as_array().unwrap().iter().map(|target| target["expr"].as_str().unwrap())
}

/// The names of metrics in a text, without the suffixes of histograms.
fn metric_names(text: &str, prefix: &str) -> BTreeSet<String> {
    let words = text.split(|it: char| !(it.is_ascii_alphanumeric() || it == '_'));
    let base = |it: &str| {
        let parts = ["_bucket", "_count", "_sum"];
        parts.iter().find_map(|part| it.strip_suffix(part)).unwrap_or(it).to_owned()
    };
    words.filter(|it| it.starts_with(prefix)).map(base).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_query_returns_data_under_load() {
    let backend = Backend::start().await;
    let (mut stores, mut postgres) = TestStores::with_own_postgres().await;
    let nodes = start_nodes(&stores, &backend).await;
    cause_outages(&mut stores, &mut postgres, &nodes[0]).await;
    let players = nodes[0].create_players(2 * (ALL.len() as u64 + 2)).await;
    let (first, second) = players.split_at(ALL.len() + 2);
    for (node, players) in nodes.iter().zip([first, second]) {
        open_subscribers(node, players).await;
    }
    let prometheus = Prometheus::start(stores.folder.path(), &[&nodes[0].base, &nodes[1].base]).await;
    tokio::select! {
        () = play_forever(&nodes[0], first.last().unwrap()) => {}
        () = play_forever(&nodes[1], second.last().unwrap()) => {}
        () = wait_for_data(&prometheus) => {}
    }
}

async fn wait_for_data(prometheus: &Prometheus) {
    let count = "count(up{job=\"laurel\"} == 1)";
    eventually("both nodes to be scraped", async || {
        (prometheus.query(count).await == Ok(vec![2.0])).then_some(())
    })
    .await;
    let mut missing = Vec::new();
    for (title, panel) in panels() {
        let fill_in = |query: &str| query.replace("$__rate_interval", "15s").replace("$node", ".+");
        missing.extend(queries(&panel).map(|query| (title.clone(), fill_in(query))));
        // Optional series must exist here too, or nothing would reveal a wrong name.
        let optional = queries(&panel).filter(|query| query.contains(OR_ZERO) && !query.contains("ALERTS"));
        missing.extend(optional.map(|query| (title.clone(), fill_in(&query.replace(OR_ZERO, "")))));
    }
    let deadline = Instant::now() + TEST_TIMEOUT;
    while !missing.is_empty() {
        assert!(Instant::now() < deadline, "queries without data: {missing:#?}");
        for (title, query) in std::mem::take(&mut missing) {
            let values =
                prometheus.query(&query).await.unwrap_or_else(|error| panic!("{title}: {query}: {error}"));
            if !values.iter().any(|it| it.is_finite()) {
                missing.push((title, query));
            }
        }
    }
}

#[test]
fn dashboards_are_up_to_date() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/grafana");
    let check = Command::new("node").args(["make.mjs", "--check"]).current_dir(folder).output();
    let check = check.expect("make test-deps installs Node");
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
}

#[test]
fn every_metric_is_used_and_every_used_metric_exists() {
    let queried: String = panels()
        .iter()
        .flat_map(|(_, panel)| queries(panel).map(|query| format!("{query} ")).collect::<Vec<_>>())
        .collect();
    let declared: BTreeSet<String> = metric_names(include_str!("../src/metrics.rs"), "laurel_");
    let used: BTreeSet<String> = metric_names(&queried, "laurel_");
    assert_eq!(used.difference(&declared).collect::<Vec<_>>(), [] as [&String; 0], "used, but not declared");
    let used_anywhere: BTreeSet<String> = used.union(&metric_names(RULES, "laurel_")).cloned().collect();
    assert_eq!(
        declared.difference(&used_anywhere).collect::<Vec<_>>(),
        [] as [&String; 0],
        "declared, but not used"
    );
}

/// The alerts and their expressions.
fn alerts() -> BTreeMap<&'static str, &'static str> {
    let rules = RULES.split("- alert: ").skip(1);
    rules
        .map(|rule| rule.split_once('\n').unwrap())
        .map(|(name, rule)| (name, rule.split("annotations").next().unwrap()))
        .collect()
}

/// A limit in a panel is a threshold of an alert that the panel links to. 1 and 2 are counts.
#[test]
fn drawn_limits_are_thresholds_of_documented_alerts() {
    let (alerts, docs) = (alerts(), include_str!("../docs/operations.md"));
    let anchors: BTreeMap<String, &str> = alerts.keys().map(|name| (name.to_lowercase(), *name)).collect();
    for (title, panel) in panels() {
        let mut expressions = String::new();
        for link in panel["links"].as_array().unwrap() {
            let anchor = link["url"].as_str().unwrap().strip_prefix("${docs}#").unwrap();
            let alert = anchors.get(anchor).unwrap_or_else(|| panic!("{title}: there is no alert {anchor}"));
            assert!(docs.contains(&format!("### {alert}\n")), "{title}: {alert} has no runbook");
            expressions.push_str(alerts[alert]);
        }
        let numbers: BTreeSet<&str> =
            expressions.split(|it: char| !(it.is_ascii_digit() || it == '.')).collect();
        let steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"].as_array().unwrap();
        for limit in
            steps.iter().filter_map(|step| step["value"].as_f64()).filter(|limit| ![1.0, 2.0].contains(limit))
        {
            assert!(numbers.contains(limit.to_string().as_str()), "{title}: no alert has {limit}");
        }
    }
}

#[test]
fn panels_have_unique_titles_and_positions() {
    for text in DASHBOARDS {
        let dashboard: Value = serde_json::from_str(text).unwrap();
        let (mut titles, mut ids, mut cells) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for panel in dashboard["panels"].as_array().unwrap() {
            let title = panel["title"].as_str().unwrap();
            assert!(titles.insert(title) && ids.insert(panel["id"].as_u64()), "{title} is not unique");
            let at = |name: &str| panel["gridPos"][name].as_u64().unwrap();
            assert!(at("x") + at("w") <= 24, "{title} is too wide");
            for x in at("x")..at("x") + at("w") {
                for y in at("y")..at("y") + at("h") {
                    assert!(cells.insert((x, y)), "{title} overlaps another panel");
                }
            }
        }
    }
}

/// The labels that Prometheus, recording rules and alerts add, and `le` of histograms.
const OTHER_LABELS: [&str; 5] = ["job", "instance", "le", "slo", "alertname"];

/// The labels of the metrics that a text names, as src/metrics.rs declares them.
fn labels_of_metrics(text: &str) -> Vec<&'static str> {
    let declared = include_str!("../src/metrics.rs")
        .lines()
        .filter_map(|line| line.trim().strip_suffix("\";")?.split_once(" = \""));
    let named = declared.filter(|(_, metric)| text.contains(metric));
    named.flat_map(|(declaration, _)| declaration.split('"').skip(1).step_by(2)).chain(OTHER_LABELS).collect()
}

/// The labels that an expression groups by, and those in the texts beside it.
fn labels_used(text: &str) -> impl Iterator<Item = &str> {
    let between = |start: &'static str, end: char| {
        text.split(start).skip(1).map(move |rest| rest.split(end).next().unwrap())
    };
    let grouped = [" by (", " on ("]
        .into_iter()
        .flat_map(move |start| between(start, ')'))
        .flat_map(|list| list.split(", "));
    let shown = between("{{", '}').filter_map(|label| {
        let label = label.trim();
        (!label.starts_with("$value")).then(|| label.strip_prefix("$labels.").unwrap_or(label))
    });
    grouped.chain(shown).map(str::trim)
}

/// A query that groups by a label that its metric does not have returns one series for all.
#[test]
fn queries_group_by_existing_labels() {
    let targets = panels().into_iter().map(|(_, panel)| panel["targets"].to_string());
    let mut labels = 0;
    for text in RULES.split("\n      - ").map(str::to_owned).chain(targets) {
        let known = labels_of_metrics(&text);
        for label in labels_used(&text) {
            assert!(known.contains(&label), "no metric here has the label {label}: {text}");
            labels += 1;
        }
    }
    assert!(labels > 60, "{labels} labels");
}
