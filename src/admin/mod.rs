//! Admin operations: bans, quarantine, adjustments, roles, periods of boards, audit. Postgres stores the decision. It is applied to Redis at once,
//! and again by `reconcile_forever` if that failed. Callers have passed `require_admin`, or run `laurel admin` on the machine.

mod adjust;
pub mod analytics;
mod apply;
mod audit;
mod boards;
mod dead_letters;
mod evidence;
mod history;
mod periods;
mod reconcile;
mod restrict;
mod role;
mod search;
mod suspects;
mod void;

pub use adjust::{Adjustment, adjust};
pub use audit::{AuditEntry, audit};
pub use boards::{BoardPreview, change_board, create_board, preview_board};
pub use dead_letters::{
    DeadLetter, DeadLetterAction, count_dead_letters, dead_letters, decide_dead_letter,
    retry_all_dead_letters,
};
pub use evidence::{Evidence, HourlySignal, RefusedAttempt, evidence};
pub use history::{Cursor, Event, Page, history};
pub use periods::{PeriodAction, decide_period, rebuild};
pub use reconcile::{FULL_INTERVAL, reconcile_forever};
pub use restrict::{Restriction, restrict};
pub use role::{find_user, grant, require_admin};
pub use search::{SearchPage, UserSummary, search};
pub use suspects::{Suspect, Suspects, UserReport, report, suspects};
pub use void::void;

use std::sync::Arc;

use serde_json::Value;
use uuid::Uuid;

use crate::account::Accounts;
use crate::clock::Clock;
use crate::config::Config;
use crate::db::Database;
use crate::health::Health;
use crate::ledger::Ledger;
use crate::metrics::Metrics;
use crate::store::Store;

/// What operators' actions work with.
#[allow(missing_docs, reason = "each part is documented at its type")]
pub struct Admin {
    pub config: Arc<Config>,
    pub clock: Clock,
    pub metrics: Arc<Metrics>,
    pub store: Arc<Store>,
    pub database: Database,
    pub health: Arc<Health>,
    pub accounts: Arc<Accounts>,
    pub ledger: Arc<Ledger>,
}

/// Who decided something and why.
#[derive(Clone, Debug)]
pub struct Decision {
    /// A username, or `cli:` and the system user.
    pub actor: String,
    /// The host on which the command ran, if it was a command.
    pub host: Option<String>,
    /// 1 to 500 characters.
    pub reason: String,
}

/// Longer reasons are refused.
pub const MAX_REASON_CHARS: usize = 500;

impl Decision {
    /// Trims and checks a reason.
    ///
    /// # Errors
    /// A message for the caller.
    pub fn read_reason(text: &str) -> Result<String, String> {
        let text = text.trim();
        if (1..=MAX_REASON_CHARS).contains(&text.chars().count()) && !text.chars().any(char::is_control) {
            Ok(text.to_owned())
        } else {
            Err(format!("must be 1 to {MAX_REASON_CHARS} characters on one line"))
        }
    }

    /// Logs an operation after its audit row was committed.
    fn log(&self, action: &str, user: Option<Uuid>, detail: Option<&Value>) {
        let Self { actor, host, reason } = self;
        let (user, detail) = (user.map(|user| user.to_string()), detail.map(|detail| detail.to_string()));
        tracing::info!(action, user, actor, host, reason, detail, "admin action");
    }
}
