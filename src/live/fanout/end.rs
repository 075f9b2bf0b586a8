//! Why a listener is closed, and what it is told then.

use std::ops::Range;

/// When a client comes back after a drain, in ms from then.
const RETRY_MS: Range<u64> = 200..2000;

/// Why a listener is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The client broke the protocol, with the code that says how.
    Broken(u16),
    /// The client says more than a listener has to say.
    TooMuch,
    /// The client did not read for too long.
    TooSlow,
    /// The login has run out.
    LoginOver,
    /// The user is banned.
    Banned,
    /// The node stops; when to come back.
    Draining {
        /// Ms from now.
        retry_ms: u64,
    },
}

impl End {
    /// The node stops: each client hears another moment to come back.
    pub fn drain() -> Self {
        Self::Draining { retry_ms: rand::random_range(RETRY_MS) }
    }

    /// The close code: RFC 6455's, and ours from 4000.
    pub fn code(&self) -> u16 {
        match self {
            Self::Broken(code) => *code,
            Self::TooMuch => 1008,
            Self::Draining { .. } => 1012,
            Self::TooSlow => 4008,
            Self::LoginOver | Self::Banned => 4401,
        }
    }

    /// The close frame's reason.
    pub fn reason(&self) -> String {
        match self {
            Self::Broken(_) => String::new(),
            Self::TooMuch => "a listener has less to say".into(),
            Self::TooSlow => "nothing was read for too long".into(),
            Self::LoginOver => "the login has run out".into(),
            Self::Banned => "this account is banned".into(),
            Self::Draining { retry_ms } => format!("retry in {retry_ms} ms"),
        }
    }

    /// Whether the client should not come back with the same login.
    pub fn is_for_good(&self) -> bool {
        matches!(self, Self::LoginOver | Self::Banned)
    }

    /// When a client that comes back by itself should do so, in ms.
    pub fn retry_ms(&self) -> u64 {
        match self {
            Self::Draining { retry_ms } => *retry_ms,
            _ if self.is_for_good() => 60_000,
            _ => 1000,
        }
    }
}
