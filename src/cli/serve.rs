//! `laurel serve`: a node with its private stores, from the first line of its log to the last.

use std::net::SocketAddr;
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tracing::Level;

use super::output::Output;
use super::signals::StopSignals;
use crate::clock::Clock;
use crate::config::Config;
use crate::embedded::{Embedded, Purpose};
use crate::serve::Node;
use crate::telemetry::Log;

/// A node that is asked to stop is drained if it is started by then.
const ALMOST_STARTED: Duration = Duration::from_secs(1);

/// Serves until a signal. The private stores are started on this thread and looked after on it: the kernel ends them when the thread
/// ends.
pub async fn serve(mut config: Config, log: &Log) -> Result<ExitCode> {
    let mut signals = StopSignals::listen().context("cannot listen for signals")?;
    // Those that were set: the private stores add theirs.
    let settings = config.changed().join(" ");
    let mut stores = tokio::select! {
        stores = Embedded::start(&mut config, Purpose::Node) => stores?,
        () = signals.recv() => return Ok(ExitCode::SUCCESS),
    };
    tracing::info!(version = env!("CARGO_PKG_VERSION"), settings, "starting");
    let result = serve_on(&mut stores, config, &mut signals, log).await;
    stores.stop().await;
    result
}

async fn serve_on(
    stores: &mut Embedded,
    config: Config,
    signals: &mut StopSignals,
    log: &Log,
) -> Result<ExitCode> {
    let hint = stores.join_hint();
    // A board that has to be loaded first may take a while.
    let mut start = pin!(Node::start(config, Clock::default()));
    let mut node = tokio::select! {
        started = &mut start => started?,
        () = signals.recv() => {
            // It answers requests just before it is said to be started.
            if let Ok(started) = tokio::time::timeout(ALMOST_STARTED, start).await {
                started?.stop().await;
            }
            return Ok(ExitCode::SUCCESS);
        }
        () = stores.keep_alive() => bail!("a private store ended"),
    };
    announce(&node, hint, log);
    let died = tokio::select! {
        () = signals.recv() => None,
        why = node.died() => Some(why),
        () = stores.keep_alive() => None,
    };
    node.stop().await;
    match died {
        Some(why) => bail!(why),
        None => Ok(ExitCode::SUCCESS),
    }
}

/// Says where the node serves: in the log, and to people, whether or not they still look.
fn announce(node: &Node, hint: Option<String>, log: &Log) {
    let url = format!("http://{}", shown(node.address));
    let admin = node.admin_address.map(|it| format!("http://{}/admin", shown(it)));
    tracing::info!(url, admin, "listening");
    let fields = [("url", Some(url.as_str())), ("admin", admin.as_deref()), ("join", hint.as_deref())];
    let lines = match log.json(Level::INFO, "Laurel serves", &fields) {
        Some(line) => vec![line],
        None => {
            let mut lines = vec![format!("Laurel serves on {url}")];
            lines.extend(admin.map(|it| format!("Operators: {it}")));
            let join = "A second node joins its stores with:";
            lines.extend(hint.map(|hint| format!("{join}\n  {hint}PORT=3001 laurel serve")));
            lines
        }
    };
    // Whoever is stuck instead of reading it holds up this thread alone.
    std::thread::spawn(move || lines.into_iter().for_each(|line| Output::default().line(line)));
}

/// `localhost` for people, where that is what is meant.
fn shown(address: SocketAddr) -> String {
    if address.ip().is_loopback() { format!("localhost:{}", address.port()) } else { address.to_string() }
}
