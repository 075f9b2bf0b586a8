//! A real Prometheus with the shipped rules.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

/// A Prometheus that scrapes and evaluates four times a second, stopped on drop.
pub struct Prometheus {
    base: String,
    child: Child,
    client: reqwest::Client,
}

impl Prometheus {
    /// Starts Prometheus with its data in a folder.
    pub async fn start(folder: &Path, nodes: &[&str]) -> Self {
        let targets: Vec<String> =
            nodes.iter().map(|node| format!("{:?}", node.trim_start_matches("http://"))).collect();
        let config = include_str!("../../deploy/prometheus/prometheus.yml")
            .replace("interval: 15s", "interval: 250ms")
            .replace("\"127.0.0.1:3001\", \"127.0.0.1:3002\"", &targets.join(", "));
        std::fs::write(folder.join("rules.yml"), include_str!("../../deploy/prometheus/rules.yml")).unwrap();
        std::fs::write(folder.join("prometheus.yml"), config).unwrap();
        let mut command = Command::new("prometheus");
        command.arg("--config.file").arg(folder.join("prometheus.yml"));
        command.arg("--storage.tsdb.path").arg(folder.join("prometheus"));
        command.args(["--web.listen-address", "127.0.0.1:0"]).stderr(Stdio::piped());
        let mut child = command.spawn().expect("make test-deps installs Prometheus");
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = tokio::task::spawn_blocking(move || {
            let address = log.by_ref().find_map(|line| {
                Some(line.unwrap().split_once("msg=\"Listening on\" address=")?.1.trim().to_owned())
            });
            // Prometheus blocks when nobody reads its output.
            std::thread::spawn(move || log.for_each(drop));
            address
        });
        let address = address.await.unwrap().expect("Prometheus to listen");
        Self { base: format!("http://{address}"), child, client: reqwest::Client::new() }
    }

    /// The current values of a query, or the error message of the query.
    pub async fn query(&self, query: &str) -> Result<Vec<f64>, String> {
        let query = utf8_percent_encode(query, NON_ALPHANUMERIC);
        let request = self.client.get(format!("{}/api/v1/query?query={query}", self.base));
        let Ok(response) = request.send().await else { return Ok(Vec::new()) };
        // During its start Prometheus replies in plain text.
        let Ok(response) = response.json::<Value>().await else { return Ok(Vec::new()) };
        match response["data"]["result"].as_array() {
            Some(series) => {
                let value = |series: &Value| series["value"][1].as_str()?.parse().ok();
                Ok(series.iter().filter_map(value).collect())
            }
            None => Err(response["error"].to_string()),
        }
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
