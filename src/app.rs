//! The parts of a node, built once from the configuration. Each module has a struct of what it works with; `App` has them all, and only
//! `http`, `serve` and `cli` see it.

use std::sync::Arc;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::abuse::AbuseSignals;
use crate::account::{Accounts, Issuers, LoginKeys, Passwords};
use crate::action::Catalogue;
use crate::action::proof::Check;
use crate::action::proof::admob::AdMobKeys;
use crate::admin::Admin;
use crate::award::Awards;
use crate::board::Boards;
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::connections::ConnectionPool;
use crate::cursor::Cursors;
use crate::db::{self, Database};
use crate::entries::{Entries, OpenPeriods};
use crate::error::Fault;
use crate::health::Health;
use crate::ledger::{self, Commits, Ledger, RecentEntries};
use crate::live::{ConnectionLimits, Fanout, HandshakeQueue, Hub, Inboxes, Live};
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
    pub config: Arc<Config>,
    pub clock: Clock,
    pub metrics: Arc<Metrics>,
    pub store: Arc<Store>,
    pub database: Database,
    pub health: Arc<Health>,
    pub hub: Arc<Hub>,
    pub rate_limiter: Arc<RateLimiter>,
    pub catalogue: Arc<Catalogue>,
    pub boards: Arc<Boards>,
    pub cursors: Arc<Cursors>,
    pub receipts: Arc<ReceiptKeys>,
    pub connections: Arc<ConnectionPool>,
    pub abuse_signals: Arc<AbuseSignals>,
    pub refusals: Refusals,
    /// `None` if tracing is off.
    pub traces: Option<Arc<Traces>>,
    pub accounts: Arc<Accounts>,
    pub entries: Arc<Entries>,
    pub ledger: Arc<Ledger>,
    pub awards: Awards,
    pub admin: Arc<Admin>,
    pub live: Arc<Live>,
}

impl App {
    /// Connects to the stores, runs the migrations, and builds the parts.
    ///
    /// # Errors
    /// A store is unavailable or unusable; the catalogue, the boards, the issuers file or a receipt key file is invalid; the login secret
    /// is missing.
    pub async fn build(config: Config, clock: Clock) -> Result<(Arc<Self>, Inboxes), Fault> {
        Self::build_on(config, clock, true).await
    }

    /// The same without migrations, for commands whose Postgres user may only read.
    ///
    /// # Errors
    /// As `build`; or the tables of Postgres have another version.
    pub async fn build_to_read(config: Config, clock: Clock) -> Result<(Arc<Self>, Inboxes), Fault> {
        Self::build_on(config, clock, false).await
    }

    async fn build_on(config: Config, clock: Clock, migrates: bool) -> Result<(Arc<Self>, Inboxes), Fault> {
        let catalogue = Catalogue::load(&config.actions.file)
            .map_err(|problems| Fault::new("read_catalogue", problems))?;
        warn_of_impossible_actions(&catalogue, config.tokens.anti_spam_seconds * 1000);
        let action_types: Vec<_> = catalogue.all().iter().map(|action| action.kind.as_str()).collect();
        let boards = Boards::load(&config.boards.file, &action_types)
            .map_err(|problems| Fault::new("read_boards", problems))?;
        let boards = Arc::new(boards);
        let issuers = Issuers::load(&config.auth.issuers_file)
            .map_err(|problems| Fault::new("read_issuers_file", problems))?;
        let receipts = receipt_keys(&config.auth)?;
        let metrics = Arc::new(Metrics::default());
        let traces = Traces::new(&config.traces, &metrics)?;
        let store = Arc::new(Store::connect(&config.redis, metrics.clone()).await?);
        let database = db::connect(&config.postgres, &ledger::application_name()).await?;
        if migrates {
            ledger::migrate(&database).await?;
            if let Err(fault) = ledger::contract(&database).await {
                tracing::warn!(%fault, "contract step of the migrations failed, retrying in a minute");
            }
        } else {
            ledger::check_tables(&database).await?;
        }
        ledger::load_created_boards(&database, &boards, &config.boards.file).await?;
        let deployment = ledger::deployment(&database).await?;
        let watches_ads = catalogue.all().iter().any(|action| action.proof.needs_callback());
        let admob = watches_ads.then(|| AdMobKeys::new(&config.callbacks.admob_keys_url)).transpose();
        let admob = admob.map_err(|problem| Fault::new("read_admob_keys_url", problem))?;
        let (fanout, inboxes) = Fanout::new(config.live.max_split_boards, metrics.clone());
        let connections = Arc::new(ConnectionPool::public(&config, metrics.clone()));
        let connection_limits =
            Arc::new(ConnectionLimits::new(&config.limits, &config.live, connections.max_live()));
        let (config, catalogue, receipts) = (Arc::new(config), Arc::new(catalogue), Arc::new(receipts));
        let (health, hub): (Arc<Health>, Arc<Hub>) = (Arc::default(), Arc::default());
        let rate_limiter = Arc::new(RateLimiter::new(&config.limits, store.clone(), metrics.clone()));
        let abuse_signals = Arc::new(AbuseSignals::new(metrics.clone()));
        let accounts = Arc::new(Accounts {
            limits: config.limits.clone(),
            clock: clock.clone(),
            metrics: metrics.clone(),
            store: store.clone(),
            database: database.clone(),
            health: health.clone(),
            rate_limiter: rate_limiter.clone(),
            abuse_signals: abuse_signals.clone(),
            logins: LoginKeys::new(&config.auth, deployment),
            issuers,
            passwords: Passwords::new(&config.auth)?,
        });
        let cursors = Arc::new(Cursors::new(&config.auth));
        let ledger = Arc::new(Ledger {
            config: config.clone(),
            clock: clock.clone(),
            metrics: metrics.clone(),
            store: store.clone(),
            database: database.clone(),
            health: health.clone(),
            accounts: accounts.clone(),
            cursors: cursors.clone(),
            hub: hub.clone(),
            catalogue: catalogue.clone(),
            boards: boards.clone(),
            boards_version: ledger::KnownVersion::default(),
            attempts: ledger::AttemptRules::default(),
            receipts: receipts.clone(),
            commits: Commits::default(),
            recent_entries: RecentEntries::default(),
            committed: Notify::new(),
            failures: ledger::WriteFailures::default(),
            traces: traces.clone(),
        });
        let awards = Awards {
            config: config.clone(),
            clock: clock.clone(),
            metrics: metrics.clone(),
            store: store.clone(),
            rate_limiter: rate_limiter.clone(),
            hub: hub.clone(),
            accounts: accounts.clone(),
            ledger: ledger.clone(),
            catalogue: catalogue.clone(),
            anti_spam: AntiSpamKeys::new(&config.auth),
            receipts: receipts.clone(),
            abuse_signals: abuse_signals.clone(),
            admob,
        };
        let admin = Arc::new(Admin {
            config: config.clone(),
            clock: clock.clone(),
            metrics: metrics.clone(),
            store: store.clone(),
            database: database.clone(),
            health: health.clone(),
            accounts: accounts.clone(),
            ledger: ledger.clone(),
        });
        let entries = Arc::new(Entries {
            clock: clock.clone(),
            metrics: metrics.clone(),
            store: store.clone(),
            database: database.clone(),
            health: health.clone(),
            boards: boards.clone(),
            cursors: cursors.clone(),
            open_periods: OpenPeriods::default(),
        });
        let live = Arc::new(Live {
            config: config.clone(),
            clock: clock.clone(),
            metrics: metrics.clone(),
            store: store.clone(),
            health: health.clone(),
            accounts: accounts.clone(),
            entries: entries.clone(),
            hub: hub.clone(),
            pending_spans: Arc::default(),
            fanout,
            connection_limits,
            handshakes: HandshakeQueue::new(
                config.live.max_concurrent_handshakes,
                config.live.max_queued_handshakes,
            ),
            traces: traces.clone(),
            draining: CancellationToken::new(),
        });
        let app = Self {
            config,
            clock,
            metrics,
            store,
            database,
            health,
            hub,
            rate_limiter,
            catalogue,
            boards,
            cursors,
            receipts,
            connections,
            abuse_signals,
            refusals: Refusals::default(),
            traces,
            accounts,
            entries,
            ledger,
            awards,
            admin,
            live,
        };
        Ok((Arc::new(app), inboxes))
    }
}

/// The keys that sign receipts and checkpoints. They need the login secret, like those of logins.
///
/// # Errors
/// The login secret is missing, or a file cannot be read.
pub fn receipt_keys(auth: &config::Auth) -> Result<ReceiptKeys, Fault> {
    if auth.jwt_secret.is_empty() {
        let hint = "set it to 32 random bytes or more, the same on every node";
        return Err(Fault::new("load_login_keys", format!("JWT_SECRET is not set: {hint}")));
    }
    ReceiptKeys::new(auth).map_err(|problem| Fault::new("load_receipt_keys", problem))
}

/// Warns of actions that take longer than their tokens live: they can be started, but never finished.
fn warn_of_impossible_actions(catalogue: &Catalogue, token_ms: u64) {
    for action in catalogue.all() {
        let token_ms = action.token_seconds.map_or(token_ms, |seconds| seconds * 1000);
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
