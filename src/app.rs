//! Everything that is shared, built once and passed.

use std::net::IpAddr;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::abuse::{AbuseSignal, AbuseSignals, Observation};
use crate::account::{Issuers, LoginKeys, Passwords};
use crate::action::Catalogue;
use crate::action::proof::Check;
use crate::action::proof::admob::AdMobKeys;
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::connections::ConnectionPool;
use crate::error::Fault;
use crate::ledger::{self, Commits, Database};
use crate::live::{ConnectionLimits, Fanout, HandshakeQueue, Health, Hub, Inboxes, PendingSpans};
use crate::metrics::Metrics;
use crate::rate_limit::RateLimiter;
use crate::receipt::ReceiptKeys;
use crate::refusals::Refusals;
use crate::store::Store;
use crate::token::AntiSpamKeys;
use crate::traces::Traces;

/// One node's parts.
#[allow(missing_docs, reason = "each part is documented at its type")]
pub struct App {
    pub config: Config,
    pub clock: Clock,
    pub metrics: Arc<Metrics>,
    pub store: Arc<Store>,
    pub rate_limiter: RateLimiter,
    pub database: Database,
    pub commits: Commits,
    pub catalogue: Catalogue,
    pub logins: LoginKeys,
    pub issuers: Issuers,
    pub anti_spam: AntiSpamKeys,
    pub receipts: ReceiptKeys,
    pub passwords: Passwords,
    pub hub: Hub,
    pub pending_spans: Arc<PendingSpans>,
    pub fanout: Fanout,
    pub health: Health,
    pub connections: Arc<ConnectionPool>,
    pub connection_limits: Arc<ConnectionLimits>,
    pub handshakes: HandshakeQueue,
    pub abuse_signals: AbuseSignals,
    /// There if tracing is on.
    pub traces: Option<Arc<Traces>>,
    pub refusals: Refusals,
    pub failures: ledger::WriteFailures,
    /// There if an action of the catalogue needs it.
    pub admob: Option<Arc<AdMobKeys>>,
    /// Cancelled when the node begins to stop.
    pub draining: CancellationToken,
}

impl App {
    /// Connects to the stores, migrates, and builds the rest.
    ///
    /// # Errors
    /// A store does not answer or cannot be used; the catalogue, the file of issuers or that of receipts' keys is wrong;
    /// there is no login secret.
    pub async fn build(config: Config, clock: Clock) -> Result<(Arc<Self>, Inboxes), Fault> {
        Self::build_on(config, clock, true).await
    }

    /// The same for a command that makes no tables; it may have no more than the right to read.
    ///
    /// # Errors
    /// As `build`; or Postgres' tables are of another version.
    pub async fn build_to_read(config: Config, clock: Clock) -> Result<(Arc<Self>, Inboxes), Fault> {
        Self::build_on(config, clock, false).await
    }

    async fn build_on(config: Config, clock: Clock, migrates: bool) -> Result<(Arc<Self>, Inboxes), Fault> {
        let catalogue = Catalogue::load(&config.actions.file)
            .map_err(|problems| Fault::new("read_catalogue", problems))?;
        warn_of_impossible(&catalogue, config.tokens.anti_spam_seconds * 1000);
        let issuers = Issuers::load(&config.auth.issuers_file)
            .map_err(|problems| Fault::new("read_issuers_file", problems))?;
        let receipts = receipt_keys(&config.auth)?;
        let metrics = Arc::new(Metrics::default());
        let traces = Traces::new(&config.traces, &metrics)?;
        let store = Arc::new(Store::connect(&config.redis, metrics.clone()).await?);
        let database = ledger::connect(&config.postgres).await?;
        if migrates {
            ledger::migrate(&database).await?;
            if let Err(fault) = ledger::contract(&database).await {
                tracing::warn!(%fault, "what is left of the migrations is tried again in a minute");
            }
        } else {
            ledger::check_tables(&database).await?;
        }
        let deployment = ledger::deployment(&database).await?;
        let watches_ads = catalogue.all().iter().any(|it| it.proof.needs_callback());
        let admob = watches_ads.then(|| AdMobKeys::new(&config.callbacks.admob_keys_url)).transpose();
        let admob = admob.map_err(|problem| Fault::new("read_admob_keys_url", problem))?;
        let (fanout, inboxes) = Fanout::new();
        let live = &config.live;
        let connections = Arc::new(ConnectionPool::public(&config, metrics.clone()));
        let app = Self {
            rate_limiter: RateLimiter::new(&config.limits, store.clone(), metrics.clone()),
            clock,
            metrics,
            store,
            database,
            commits: Commits::default(),
            catalogue,
            logins: LoginKeys::new(&config.auth, deployment),
            issuers,
            anti_spam: AntiSpamKeys::new(&config.auth),
            receipts,
            passwords: Passwords::new(&config.auth)?,
            hub: Hub::default(),
            pending_spans: Arc::default(),
            fanout,
            health: Health::default(),
            connection_limits: Arc::new(ConnectionLimits::new(&config.limits, live, connections.max_live())),
            connections,
            handshakes: HandshakeQueue::new(live.max_concurrent_handshakes, live.max_queued_handshakes),
            abuse_signals: AbuseSignals::default(),
            traces,
            refusals: Refusals::default(),
            failures: ledger::WriteFailures::default(),
            admob,
            draining: CancellationToken::new(),
            config,
        };
        Ok((Arc::new(app), inboxes))
    }

    /// Counts an abuse signal, if there is one.
    pub fn note(&self, signal: Option<AbuseSignal>, user: Option<Uuid>, from: IpAddr) {
        if let Some(signal) = signal {
            self.metrics.abuse_signal(signal);
            self.abuse_signals.add([(Observation { signal, user, address: from }, 1)]);
        }
    }
}

/// The keys that sign receipts and checkpoints; like those of logins, they need the login secret.
///
/// # Errors
/// There is none, or a file cannot be read.
pub fn receipt_keys(auth: &config::Auth) -> Result<ReceiptKeys, Fault> {
    if auth.jwt_secret.is_empty() {
        let hint = "set it to 32 random bytes or more, the same on every node";
        return Err(Fault::new("load_login_keys", format!("JWT_SECRET is not set: {hint}")));
    }
    ReceiptKeys::new(auth).map_err(|problem| Fault::new("load_receipt_keys", problem))
}

/// An action that takes longer than its token lives can be started, but never finished.
fn warn_of_impossible(catalogue: &Catalogue, token_ms: u64) {
    for action in catalogue.all() {
        let token_ms = action.token_seconds.map_or(token_ms, |it| it * 1000);
        for check in action.proof.checks() {
            if let Check::Elapsed { min_ms, .. } = check
                && *min_ms >= token_ms
            {
                tracing::warn!(
                    action = action.kind,
                    min_ms,
                    token_ms,
                    "this action takes longer than its token lives"
                );
            }
        }
    }
}
