//! HAProxy with the shipped configuration, on other ports.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use super::{eventually, free_port};

/// The addresses of the nodes in the configuration.
const ADDRESSES: [&str; 3] = ["127.0.0.1:3001", "127.0.0.1:3002", "127.0.0.1:3003"];
/// An address without a listener.
const NOWHERE: &str = "127.0.0.1:1";

/// A load balancer. It ends when it is dropped.
pub struct Balancer {
    pub base: String,
    /// The URL of the statistics.
    statistics: String,
    child: Child,
}

/// The program. Debian installs it outside the PATH of users.
pub fn haproxy_path() -> PathBuf {
    let paths = ["/usr/sbin/haproxy", "/usr/local/sbin/haproxy"];
    paths.map(PathBuf::from).into_iter().find(|it| it.exists()).unwrap_or("haproxy".into())
}

impl Balancer {
    /// Starts a balancer for up to three nodes, with the names `a`, `b` and `c`.
    pub async fn start(folder: &Path, nodes: &[&str]) -> Self {
        let (port, statistics_port) = (free_port(), free_port());
        let mut text = include_str!("../../deploy/haproxy.cfg")
            .replace("127.0.0.1:8080", &format!("127.0.0.1:{port}"))
            .replace("inter 500", "inter 100");
        for (index, address) in ADDRESSES.into_iter().enumerate() {
            let node = nodes.get(index).map_or(NOWHERE, |it| it.trim_start_matches("http://"));
            text = text.replace(address, node);
        }
        text += &format!(
            "\nlisten statistics\n    bind 127.0.0.1:{statistics_port}\n    stats enable\n    stats uri /\n"
        );
        let path = folder.join("haproxy.cfg");
        std::fs::write(&path, text).unwrap();
        let child = Command::new(haproxy_path())
            .arg("-f")
            .arg(&path)
            .spawn()
            .expect("make test-deps installs HAProxy");
        let [base, statistics] = [port, statistics_port].map(|port| format!("http://127.0.0.1:{port}"));
        let balancer = Self { base, statistics, child };
        for node in ["a", "b", "c"].into_iter().take(nodes.len()) {
            balancer.wait_until("awards", node, true).await;
        }
        balancer
    }

    /// For each server of a backend: does it get new requests?
    async fn active_servers(&self, backend: &str) -> Option<BTreeMap<String, bool>> {
        let text = reqwest::get(format!("{}/;csv", self.statistics)).await.ok()?.text().await.ok()?;
        let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
        let head = lines.next()?;
        let column = |name: &str| head.iter().position(|column| column.trim_start_matches("# ") == name);
        let (proxy, server, status, check) =
            (column("pxname")?, column("svname")?, column("status")?, column("check_status")?);
        // Before its first check a server counts as up.
        let is_active =
            |line: &Vec<&str>| (line[server].to_owned(), line[status] == "UP" && line[check] != "INI");
        let servers = lines.filter(|line| line.len() > check && line[proxy] == backend);
        Some(servers.map(|line| is_active(&line)).collect())
    }

    /// Waits until a node gets new requests of a backend (`active`), or gets none.
    pub async fn wait_until(&self, backend: &str, node: &str, active: bool) {
        let what = format!("{node} to be active in {backend}: {active}");
        eventually(&what, async || (*self.active_servers(backend).await?.get(node)? == active).then_some(()))
            .await;
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
