//! What operators do to users, each with who and why. Postgres holds the decision; Redis is made to agree, at once, and again by
//! `converge_forever` if that failed. Whoever calls has been let in by `require_admin`, or has the machine (`laurel admin`).

mod adjust;
mod agree;
pub mod analytics;
mod audit;
mod converge;
mod evidence;
mod history;
mod letters;
mod restrict;
mod role;
mod search;
mod suspects;
mod void;

pub use adjust::{Changed, adjust};
pub use audit::{Deed, audit};
pub use converge::{ALL_EVERY, converge_forever};
pub use evidence::{Evidence, RefusedAttempt, Seen, evidence};
pub use history::{Cursor, Event, Page, history};
pub use letters::{DeadLetter, Fate, dead_letters, decide, letters_of, retry_all};
pub use restrict::{Restriction, restrict};
pub use role::{find_user, grant, require_admin};
pub use search::{Found, FoundPage, search};
pub use suspects::{Suspected, Suspects, UserReport, report, suspects};
pub use void::void;

use serde_json::Value;
use uuid::Uuid;

/// Who decided something, and why.
#[derive(Clone, Debug)]
pub struct Decision {
    /// A username, or `cli:` and the system's user.
    pub actor: String,
    /// The machine on which the command ran, if it was a command.
    pub host: Option<String>,
    /// Why, in 1 to 500 characters.
    pub reason: String,
}

/// Longer reasons are refused.
pub const MAX_REASON_CHARS: usize = 500;

impl Decision {
    /// Checks a reason.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read_reason(text: &str) -> Result<String, String> {
        let text = text.trim();
        if (1..=MAX_REASON_CHARS).contains(&text.chars().count()) && !text.chars().any(char::is_control) {
            Ok(text.to_owned())
        } else {
            Err(format!("must be 1 to {MAX_REASON_CHARS} characters on one line"))
        }
    }

    /// Logs an action that was decided, once it stands in the audit.
    fn log(&self, action: &str, user: Option<Uuid>, detail: Option<&Value>) {
        let Self { actor, host, reason } = self;
        let (user, detail) = (user.map(|it| it.to_string()), detail.map(|it| it.to_string()));
        tracing::info!(action, user, actor, host, reason, detail, "admin action");
    }
}
