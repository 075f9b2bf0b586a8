//! HAProxy with the configuration that ships, on other ports.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use super::eventually;

/// The nodes' places in the configuration.
const PLACES: [&str; 3] = ["127.0.0.1:3001", "127.0.0.1:3002", "127.0.0.1:3003"];
/// Where nobody listens.
const NOWHERE: &str = "127.0.0.1:1";

/// A balancer before some nodes; it ends with this value.
pub struct Balancer {
    pub base: String,
    /// Where it tells what it thinks of its servers.
    statistics: String,
    child: Child,
}

/// The program, which Debian puts where users do not look.
pub fn haproxy() -> PathBuf {
    let places = ["/usr/sbin/haproxy", "/usr/local/sbin/haproxy"];
    places.map(PathBuf::from).into_iter().find(|it| it.exists()).unwrap_or("haproxy".into())
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Balancer {
    /// Before so many nodes, which are `a`, `b` and `c` to it.
    pub async fn start(folder: &Path, nodes: &[&str]) -> Self {
        let (port, other) = (free_port(), free_port());
        let mut text = include_str!("../../deploy/haproxy.cfg")
            .replace("127.0.0.1:8080", &format!("127.0.0.1:{port}"))
            .replace("inter 500", "inter 100");
        for (turn, place) in PLACES.into_iter().enumerate() {
            let node = nodes.get(turn).map_or(NOWHERE, |it| it.trim_start_matches("http://"));
            text = text.replace(place, node);
        }
        text +=
            &format!("\nlisten statistics\n    bind 127.0.0.1:{other}\n    stats enable\n    stats uri /\n");
        let path = folder.join("haproxy.cfg");
        std::fs::write(&path, text).unwrap();
        let child = Command::new(haproxy()).arg("-f").arg(&path).spawn().expect("make test installs it");
        let [base, statistics] = [port, other].map(|it| format!("http://127.0.0.1:{it}"));
        let balancer = Self { base, statistics, child };
        for node in ["a", "b", "c"].into_iter().take(nodes.len()) {
            balancer.wait_until("awards", node, true).await;
        }
        balancer
    }

    /// Which servers of a backend get what is new.
    async fn taking(&self, backend: &str) -> Option<BTreeMap<String, bool>> {
        let text = reqwest::get(format!("{}/;csv", self.statistics)).await.ok()?.text().await.ok()?;
        let mut lines = text.lines().map(|it| it.split(',').collect::<Vec<_>>());
        let head = lines.next()?;
        let place = |name: &str| head.iter().position(|it| it.trim_start_matches("# ") == name);
        let (of, server, status, checked) =
            (place("pxname")?, place("svname")?, place("status")?, place("check_status")?);
        // Before its first check a server counts as up.
        let takes =
            |line: &Vec<&str>| (line[server].to_owned(), line[status] == "UP" && line[checked] != "INI");
        Some(lines.filter(|it| it.len() > checked && it[of] == backend).map(|it| takes(&it)).collect())
    }

    /// Waits until a node gets what is new of a backend, or nothing.
    pub async fn wait_until(&self, backend: &str, node: &str, takes: bool) {
        let what = format!("the balancer's {backend} to have {node}: {takes}");
        eventually(&what, async || (*self.taking(backend).await?.get(node)? == takes).then_some(())).await;
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
