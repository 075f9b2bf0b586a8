//! `laurel serve`: runs a node with its private stores until a signal stops it.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::process::ExitCode;
use std::task::Poll;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::Level;

use super::output::Output;
use crate::clock::Clock;
use crate::config::Config;
use crate::embedded::{Embedded, Purpose};
use crate::serve::Node;
use crate::telemetry::Log;

/// A node that gets a stop signal while it starts is drained if the start finishes within this time.
const ALMOST_STARTED: Duration = Duration::from_secs(1);

/// Serves until a signal. The private stores are started and supervised on this thread: the kernel ends them when the thread ends.
pub async fn serve(mut config: Config, log: &Log) -> Result<ExitCode> {
    let mut signals = StopSignals::listen().context("cannot listen for signals")?;
    // Before the private stores add theirs.
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
    // Loading the board may take a while.
    let mut start = pin!(Node::start(config, Clock::default()));
    let mut node = tokio::select! {
        started = &mut start => started?,
        () = signals.recv() => {
            // The listener opens shortly before the start finishes, so there may be requests.
            if let Ok(started) = tokio::time::timeout(ALMOST_STARTED, start).await {
                started?.stop().await;
            }
            return Ok(ExitCode::SUCCESS);
        }
        () = stores.keep_alive() => bail!("a private store stopped"),
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

/// Announces the node's URL in the log and on standard output.
fn announce(node: &Node, hint: Option<String>, log: &Log) {
    let url = format!("http://{}", shown(node.address));
    let admin = node.admin_address.map(|address| format!("http://{}/admin", shown(address)));
    tracing::info!(url, admin, "listening");
    let fields = [("url", Some(url.as_str())), ("admin", admin.as_deref()), ("join", hint.as_deref())];
    let lines = match log.json(Level::INFO, "Laurel serves", &fields) {
        Some(line) => vec![line],
        None => {
            let mut lines = vec![format!("Laurel serves on {url}")];
            lines.extend(admin.map(|admin| format!("Admin: {admin}")));
            let join = "To start a second node with the same stores:";
            lines.extend(hint.map(|hint| format!("{join}\n  {hint}PORT=3001 laurel serve")));
            lines
        }
    };
    // In a thread, because a reader that does not read would block the node.
    std::thread::spawn(move || lines.into_iter().for_each(|line| Output::default().line(line)));
}

/// The address for a URL, with `localhost` for a loopback address.
fn shown(address: SocketAddr) -> String {
    if address.ip().is_loopback() { format!("localhost:{}", address.port()) } else { address.to_string() }
}

/// The signals that stop a node: SIGTERM, SIGINT and SIGHUP.
struct StopSignals(Vec<Signal>);

impl StopSignals {
    /// Installs the handlers. An ignored SIGHUP stays ignored: `nohup laurel serve`.
    fn listen() -> io::Result<Self> {
        let mut kinds = vec![SignalKind::terminate(), SignalKind::interrupt()];
        if !ignores_hangup() {
            kinds.push(SignalKind::hangup());
        }
        Ok(Self(kinds.into_iter().map(signal).collect::<io::Result<_>>()?))
    }

    /// Waits for the next signal.
    async fn recv(&mut self) {
        poll_fn(|context| match self.0.iter_mut().any(|it| it.poll_recv(context).is_ready()) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        })
        .await;
    }
}

fn ignores_hangup() -> bool {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: with a null action the call only writes the current action to `action`, which is read only on success.
    unsafe {
        libc::sigaction(libc::SIGHUP, std::ptr::null(), action.as_mut_ptr()) == 0
            && action.assume_init().sa_sigaction == libc::SIG_IGN
    }
}
