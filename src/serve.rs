//! A node: its listener, its tasks, and the order in which it stops.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioTimer;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::clock::Clock;
use crate::config::Config;
use crate::connections::ConnectionPool;
use crate::error::Fault;
use crate::flush::{flush_abuse_signals_forever, flush_refusals, flush_refusals_forever};
use crate::health::watch_postgres_forever;
use crate::live::Inboxes;
use crate::retention::sweep_forever;
use crate::supervise::Tasks;
use crate::{admin, db, http, keyring, ledger, live};

/// A node that serves.
pub struct Node {
    /// Where it listens for players.
    pub address: SocketAddr,
    /// Where it listens for operators, if the settings say so.
    pub admin_address: Option<SocketAddr>,
    /// Its parts.
    pub app: Arc<App>,
    handle: axum_server::Handle<SocketAddr>,
    /// Connections that have sent nothing are no longer waited for.
    closing: CancellationToken,
    /// One, or two with the operators'.
    listeners: JoinSet<()>,
    consumer: JoinHandle<()>,
    stop_consumer: CancellationToken,
    /// What only ends by being stopped.
    tasks: Tasks,
}

impl Node {
    /// Builds the parts, opens the board, starts the tasks and listens. When it returns, the node is ready.
    ///
    /// # Errors
    /// One line: what could not be read, reached or bound.
    pub async fn start(mut config: Config, clock: Clock) -> Result<Self, Fault> {
        let server = &mut config.server;
        let (listener, address) = listen(&place(&server.host, server.port), ("HOST", "PORT")).await?;
        // What a node shows depends on where it listens, not on what that is called.
        server.host = address.ip().to_string();
        let admin = match server.admin_listen.as_str() {
            "" => None,
            place => Some(listen(place, ("server.admin_listen", "its port")).await?),
        };
        let (app, inboxes) = App::build(config, clock).await?;
        app.store.log_servers().await?;
        db::log_server(&app.database, &app.config.postgres).await?;
        let tasks = background(&app, inboxes);
        let stop_consumer = CancellationToken::new();
        let consumer = tokio::spawn(ledger::consume_forever(app.ledger.clone(), stop_consumer.clone()));
        let (handle, closing) = (axum_server::Handle::new(), CancellationToken::new());
        let mut listeners = JoinSet::new();
        let listening = Listening { app: &app, handle: &handle, closing: &closing };
        if http::Exposure::of(&app.config).hides_metrics() {
            tracing::info!(
                "metrics are not served: server.host is not loopback and server.admin_listen is not set"
            );
        }
        listeners.spawn(listening.on(listener, http::router(app.clone()), app.connections.clone())?);
        let admin_address = admin.as_ref().map(|it| it.1);
        if let Some((listener, _)) = admin {
            let connections = Arc::new(ConnectionPool::admin(&app.config, app.metrics.clone()));
            listeners.spawn(listening.on(listener, http::admin_router(app.clone()), connections)?);
        }
        // A board that does not come to be open is what `/readyz/awards` says.
        while !app.health.is_ready() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(Self { address, admin_address, app, handle, closing, listeners, consumer, stop_consumer, tasks })
    }

    /// Waits until a part of the node ends. None should: the process must restart.
    pub async fn died(&mut self) -> String {
        let (what, result) = tokio::select! {
            died = self.tasks.died() => return died,
            result = self.listeners.join_next() => ("a listener", result.unwrap_or(Ok(()))),
            result = &mut self.consumer => ("the ledger's consumer", result),
        };
        match result {
            Ok(()) => format!("{what} ended"),
            Err(error) => format!("{what} died: {error}"),
        }
    }

    /// Stops in order: no new sockets, the balancer notices, the other sockets leave over the window, requests under way finish,
    /// the ledger's batch is committed.
    pub async fn stop(mut self) {
        let server = &self.app.config.server;
        let window = Duration::from_secs(server.drain_seconds);
        tracing::info!(window_seconds = server.drain_seconds, "draining");
        self.app.health.start_draining();
        // A connection that is closed while a request is on its way to it loses the request.
        tokio::time::sleep(Duration::from_millis(server.drain_notice_ms)).await;
        self.app.live.draining.cancel();
        // Over long polling each answer is a request of its own, so the listener stays as long as the sockets.
        let ends = Instant::now() + window;
        let _ = tokio::time::timeout_at(ends, self.app.live.connection_limits.all_released()).await;
        let rest = ends.saturating_duration_since(Instant::now()).max(SLACK);
        self.closing.cancel();
        self.handle.graceful_shutdown(Some(rest));
        let _ =
            tokio::time::timeout(rest + SLACK, async { while self.listeners.join_next().await.is_some() {} })
                .await;
        self.stop_consumer.cancel();
        let _ = tokio::time::timeout(LAST_BATCH, ended(&mut self.consumer)).await;
        self.consumer.abort();
        self.tasks.shutdown().await;
        flush_refusals(&self.app.refusals, &self.app.database, &self.app.metrics).await;
        if let Some(traces) = &self.app.traces {
            traces.clone().stop().await;
        }
        let _ = tokio::time::timeout(SLACK, self.app.database.close()).await;
        tracing::info!("drained");
    }
}

/// Waits for a part to end; one that has ended may have been awaited already.
async fn ended(part: &mut JoinHandle<()>) {
    if !part.is_finished() {
        let _ = part.await;
    }
}

/// What the kernel keeps for a client that does not read, beyond what is on its way: a few boards. The rest of what it misses
/// is skipped, not stored.
const UNSENT_BYTES: u32 = 4096;
/// A client that takes nothing, or whose machine is gone, is given up by the kernel after so long, whatever speaks to it.
const PEER_TIMEOUT: Duration = Duration::from_secs(30);
/// Connections that wait to be accepted: all clients of a node that died come at once.
const BACKLOG: i32 = 4096;
/// Bytes of a request's head, and of an answer that waits for its client.
const HTTP_BUFFER_BYTES: usize = 16 * 1024;

/// What closing the last socket, and answering the last request, may take beyond the window.
const SLACK: Duration = Duration::from_secs(1);
/// A batch that takes longer is left to another node.
const LAST_BATCH: Duration = Duration::from_secs(5);

fn background(app: &Arc<App>, inboxes: Inboxes) -> Tasks {
    let mut tasks = Tasks::default();
    let (live, ledger) = (&app.live, &app.ledger);
    for commands in inboxes.commands {
        tasks.spawn("fan-out", live::run_fanout_worker(live.clone(), commands));
    }
    tasks.spawn("redis poll", live::poll_forever(live.clone()));
    tasks.spawn("board subscription", live::follow_board(live.clone()));
    tasks.spawn("user subscriptions", live::follow_users(live.clone(), inboxes.follow_changes));
    tasks.spawn("watched boards", live::follow_watched(live.clone(), inboxes.watch_changes));
    tasks.spawn("board flush", live::flush_forever(live.clone()));
    let interval = live::EVICTION_CHECK_INTERVAL;
    tasks.spawn("eviction check", live::watch_eviction_forever(live.clone(), interval));
    let parts = app.clone();
    tasks.spawn("postgres ping", async move {
        watch_postgres_forever(&parts.health, &parts.database, &parts.store, &parts.metrics).await;
    });
    let parts = app.clone();
    tasks.spawn("retention sweep", async move {
        sweep_forever(&parts.database, parts.config.abuse.retention_days).await;
    });
    let parts = app.clone();
    tasks.spawn("abuse signal flush", async move {
        flush_abuse_signals_forever(&parts.abuse_signals, &parts.database, &parts.metrics).await;
    });
    let parts = app.clone();
    tasks.spawn("refusal flush", async move {
        flush_refusals_forever(&parts.refusals, &parts.database, &parts.metrics).await;
    });
    tasks.spawn("rollups", ledger::roll_up_forever(ledger.clone()));
    tasks.spawn("boards", ledger::follow_boards_forever(ledger.clone()));
    tasks.spawn("created boards", ledger::follow_created_boards_forever(ledger.clone()));
    tasks.spawn("attempts", ledger::follow_attempts_forever(ledger.clone()));
    tasks.spawn("closing of periods", ledger::close_periods_forever(ledger.clone()));
    tasks.spawn("board metrics", ledger::observe_boards_forever(ledger.clone()));
    tasks.spawn("top list refill", ledger::refill_top_forever(ledger.clone()));
    tasks.spawn("ledger check", ledger::check_forever(ledger.clone()));
    tasks.spawn("award acknowledgment", ledger::acknowledge_forever(ledger.clone()));
    tasks.spawn("restrictions", admin::reconcile_forever(app.admin.clone(), admin::FULL_INTERVAL));
    let store = app.store.clone();
    tasks.spawn("topology refresh", async move { store.refresh_topology_forever().await });
    tasks.spawn(
        "key reload",
        keyring::reload_forever(app.accounts.issuers.rings().chain(app.catalogue.rings()).collect()),
    );
    tasks
}

/// A host, which may be an IPv6 address, and a port.
fn place(host: &str, port: u32) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// Listens at `host:port`, where the host is an address or a name of this machine: at the first of its addresses that there is, IPv4
/// before IPv6. `settings` are those of the host and of the port.
async fn listen(place: &str, settings: (&str, &str)) -> Result<(TcpListener, SocketAddr), Fault> {
    let (host, port) = settings;
    let failed = |error: io::Error| {
        let advice = match error.kind() {
            io::ErrorKind::AddrInUse => format!("set {port} to another one"),
            io::ErrorKind::PermissionDenied => format!("set {port} to 1024 or above"),
            _ => format!("set {host} to an address or a name of this machine"),
        };
        Fault::new("listen", format!("{place}: {error}; {advice}"))
    };
    let mut addresses: Vec<_> = tokio::net::lookup_host(place).await.map_err(failed)?.collect();
    addresses.sort_by_key(SocketAddr::is_ipv6);
    let mut missing = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in addresses {
        match bind(address).and_then(|it| Ok((it.local_addr()?, it))) {
            Ok((address, listener)) => return Ok((listener, address)),
            Err(error)
                if matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied) =>
            {
                return Err(failed(error));
            }
            Err(error) => missing = error,
        }
    }
    Err(failed(missing))
}

/// A listener whose connections have these settings from the start.
fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    // What is sent is whole: waiting for more would only delay it.
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_notsent_lowat(UNSENT_BYTES)?;
    socket.set_tcp_user_timeout(Some(PEER_TIMEOUT))?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// What the listeners have in common.
struct Listening<'a> {
    app: &'a App,
    handle: &'a axum_server::Handle<SocketAddr>,
    closing: &'a CancellationToken,
}

impl Listening<'_> {
    /// Serves routes on one listener, with its own connections.
    fn on(
        &self,
        listener: TcpListener,
        router: http::Router,
        connections: Arc<ConnectionPool>,
    ) -> Result<impl Future<Output = ()> + use<>, Fault> {
        let server = axum_server::from_tcp(listener).map_err(|error| Fault::new("listen", error))?;
        let within = Duration::from_millis(self.app.config.server.header_timeout_ms);
        let acceptor = http::Http1Acceptor { within, closing: self.closing.clone(), connections };
        let mut server = server.acceptor(acceptor).handle(self.handle.clone());
        let mut http1 = server.http_builder().http1();
        http1.timer(TokioTimer::new()).header_read_timeout(within).max_buf_size(HTTP_BUFFER_BYTES);
        Ok(async move {
            if let Err(error) = server.serve(router.into_make_service()).await {
                tracing::error!(%error, "the listener ended");
            }
        })
    }
}
