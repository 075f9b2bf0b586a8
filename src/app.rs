//! Everything that is shared, built once and passed.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::account::{Issuers, LoginKeys, Passwords};
use crate::action::Catalogue;
use crate::action::proof::Check;
use crate::action::proof::admob::AdMobKeys;
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::error::Fault;
use crate::gate::Gate;
use crate::ledger::{self, Commits, Database};
use crate::live::{Health, Hub, Seats};
use crate::metrics::Metrics;
use crate::receipt::ReceiptKeys;
use crate::store::Store;
use crate::suspicion::{Sign, Suspicions};
use crate::token::AntiSpamKeys;

/// One node's parts.
#[allow(missing_docs, reason = "each part is documented at its type")]
pub struct App {
    pub config: Config,
    pub clock: Clock,
    pub metrics: Arc<Metrics>,
    pub store: Arc<Store>,
    pub gate: Gate,
    pub database: Database,
    pub commits: Commits,
    pub catalogue: Catalogue,
    pub logins: LoginKeys,
    pub issuers: Issuers,
    pub anti_spam: AntiSpamKeys,
    pub receipts: ReceiptKeys,
    pub passwords: Passwords,
    pub hub: Arc<Hub>,
    pub health: Health,
    pub seats: Arc<Seats>,
    pub suspicions: Suspicions,
    /// There if an action of the catalogue needs it.
    pub admob: Option<Arc<AdMobKeys>>,
    /// Cancelled when the node begins to stop.
    pub draining: CancellationToken,
}

/// The users whose following changes: for the one task that subscribes to their channels.
pub type Turns = UnboundedReceiver<Uuid>;

impl App {
    /// Connects to the stores, migrates, and builds the rest.
    ///
    /// # Errors
    /// A store does not answer or cannot be used; the catalogue, the file of issuers or that of receipts' keys is wrong;
    /// there is no login secret.
    pub async fn build(config: Config, clock: Clock) -> Result<(Arc<Self>, Turns), Fault> {
        let catalogue = Catalogue::load(&config.actions.file)
            .map_err(|problems| Fault::new("read the catalogue", problems))?;
        warn_of_impossible(&catalogue, config.tokens.anti_spam_seconds * 1000);
        let issuers = Issuers::load(&config.auth.issuers_file)
            .map_err(|problems| Fault::new("read auth.issuers_file", problems))?;
        let receipts = receipt_keys(&config.auth)?;
        let metrics = Arc::new(Metrics::default());
        let store = Arc::new(Store::connect(&config.store, metrics.clone()).await?);
        let database = ledger::connect(&config.database).await?;
        ledger::migrate(&database).await?;
        if let Err(fault) = ledger::contract(&database, &receipts).await {
            tracing::warn!(%fault, "what is left of the migrations is tried again in a minute");
        }
        let watches_ads = catalogue.all().iter().any(|it| it.proof.comes_by_callback());
        let admob = watches_ads.then(|| AdMobKeys::new(&config.callbacks.admob_keys_url)).transpose();
        let admob = admob.map_err(|problem| Fault::new("read callbacks.admob_keys_url", problem))?;
        let (hub, turns) = Hub::new();
        let app = Self {
            gate: Gate::new(&config.limits, store.clone(), metrics.clone()),
            clock,
            metrics,
            store,
            database,
            commits: Commits::default(),
            catalogue,
            logins: LoginKeys::new(&config.auth),
            issuers,
            anti_spam: AntiSpamKeys::new(&config.auth),
            receipts,
            passwords: Passwords::new(&config.auth)?,
            hub: Arc::new(hub),
            health: Health::default(),
            seats: Arc::new(Seats::new(&config.limits)),
            suspicions: Suspicions::default(),
            admob,
            draining: CancellationToken::new(),
            config,
        };
        Ok((Arc::new(app), turns))
    }

    /// Notes what looks like cheating, if anything does.
    pub fn note(&self, sign: Option<Sign>, user: Option<Uuid>, from: IpAddr) {
        if let Some(sign) = sign {
            self.metrics.suspicion(sign);
            self.suspicions.note(sign, user, from);
        }
    }

    /// Waits until the node stops, and then for this socket's turn: all of them together leave at an even rate over the
    /// window.
    pub async fn drain_delay(&self) {
        self.draining.cancelled().await;
        let window_ms = self.config.server.drain_seconds * 1000;
        // The last tenth is left for the answers to arrive.
        let turn_ms = rand::random_range(0..=window_ms * 9 / 10);
        tokio::time::sleep(Duration::from_millis(turn_ms)).await;
    }
}

/// The keys that sign receipts and checkpoints; like those of logins, they need the login secret.
///
/// # Errors
/// There is none, or a file cannot be read.
pub fn receipt_keys(auth: &config::Auth) -> Result<ReceiptKeys, Fault> {
    if auth.jwt_secret.is_empty() {
        let hint = "set it to 32 random bytes or more, the same on every node";
        return Err(Fault::new("sign logins", format!("JWT_SECRET is not set: {hint}")));
    }
    ReceiptKeys::new(auth).map_err(|problem| Fault::new("make the keys of receipts", problem))
}

/// An action that takes longer than its token lives can be started, but never finished.
fn warn_of_impossible(catalogue: &Catalogue, token_ms: u64) {
    for action in catalogue.all() {
        let token_ms = action.token_seconds.map_or(token_ms, |it| it * 1000);
        for check in action.proof.checks() {
            if let Check::Elapsed { least_ms, .. } = check
                && *least_ms >= token_ms
            {
                tracing::warn!(
                    action = action.kind,
                    least_ms,
                    token_ms,
                    "this action takes longer than its token lives"
                );
            }
        }
    }
}
