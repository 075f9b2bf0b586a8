//! Errors. A `Refusal` is caused by the caller and has a public code and message. A `Fault` is an internal error: its causes go to the
//! log, and the caller gets a general message. `http/envelope.rs` maps both to HTTP; nothing here depends on HTTP.

use std::error::Error as StdError;
use std::fmt;

/// The result of what an API handler calls.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a request failed.
#[derive(Debug)]
pub enum Error {
    /// Caused by the caller.
    Refused(Refusal),
    /// An internal error.
    Fault(Fault),
}

impl Error {
    /// The code in the response.
    pub fn code(&self) -> Code {
        match self {
            Self::Refused(refusal) => refusal.code(),
            Self::Fault(fault) if fault.retryable => Code::ServiceUnavailable,
            Self::Fault(_) => Code::InternalError,
        }
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// State of a fixed rate limit window (the `RateLimit-*` headers).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateWindow {
    /// Attempts allowed in the window.
    pub limit: u32,
    /// Attempts made, refused ones included.
    pub used: u32,
    /// Milliseconds until the window closes.
    pub reset_ms: u64,
}

/// A malformed field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// Path inside the body, such as `proof.nonce`.
    pub field: String,
    /// What is wrong and what to send instead, without the field's name or value.
    pub problem: String,
}

impl FieldError {
    /// An error of one field.
    pub fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into() }
    }
}

/// Every reason to refuse a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each variant is the code of the same name, explained by `message`")]
pub enum Refusal {
    Unauthorized,
    InvalidAccessToken,
    /// Refused unread. Not an abuse signal: the tokens of some identity providers are long.
    AccessTokenTooLong {
        max_bytes: usize,
    },
    NoActionToken,
    InvalidActionToken,
    InvalidCredentials,
    TokenExpired,
    /// The game session has expired.
    SessionExpired,
    /// There is no game session.
    NoSession,
    TokenAlreadyUsed,
    SessionMismatch,
    /// With the action types that this API accepts.
    InvalidAction {
        valid: Vec<String>,
    },
    /// The action is closed at this time of day. Milliseconds of the UTC day.
    ActionClosed {
        opens_at_ms: u64,
        closes_at_ms: u64,
    },
    /// With the points that the action can award.
    InvalidPoints {
        expected: Vec<u64>,
    },
    UserNotFound,
    /// There is no such board, or the caller may not see it.
    BoardNotFound,
    /// The board has no such period.
    PeriodNotFound,
    /// The award would exceed the largest score that a board can hold.
    ScoreFull,
    /// With the time of the refusal (ms since the Unix epoch): a replay must be identical to the byte.
    ProofInvalid {
        at_ms: i64,
    },
    Validation(Vec<FieldError>),
    /// A rate limit window is full. `limit` is the name of its setting.
    RateLimited {
        limit: &'static str,
        window: RateWindow,
    },
    /// A limit of the action, or of points per hour. `limit` is the name of the setting.
    ActionLimited {
        limit: String,
        wait_ms: u64,
    },
    AlreadyExists {
        field: &'static str,
    },
    Banned,
    NotAdmin,
    OriginNotAllowed,
    IdempotencyMismatch,
    NotFound,
    MethodNotAllowed,
    PayloadTooLarge,
    UnsupportedMediaType,
    /// This node accepts no more live connections at present.
    NoSocket,
    /// Temporary: the caller should retry. The message says whether anything was done.
    Unavailable(&'static str),
}

impl Refusal {
    /// One malformed field.
    pub fn field(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Validation(vec![FieldError::new(field, problem)])
    }

    /// The code that clients go by.
    pub fn code(&self) -> Code {
        match self {
            Self::Unauthorized => Code::Unauthorized,
            Self::InvalidAccessToken
            | Self::AccessTokenTooLong { .. }
            | Self::NoActionToken
            | Self::InvalidActionToken => Code::InvalidToken,
            Self::InvalidCredentials => Code::InvalidCredentials,
            Self::TokenExpired | Self::SessionExpired => Code::TokenExpired,
            Self::NoSession => Code::TokenNotFound,
            Self::SessionMismatch => Code::SessionMismatch,
            Self::UserNotFound => Code::UserNotFound,
            Self::BoardNotFound => Code::BoardNotFound,
            Self::PeriodNotFound => Code::PeriodNotFound,
            Self::TokenAlreadyUsed => Code::TokenAlreadyUsed,
            Self::InvalidAction { .. } | Self::ActionClosed { .. } => Code::InvalidAction,
            Self::InvalidPoints { .. } | Self::ScoreFull => Code::InvalidPoints,
            Self::ProofInvalid { .. } => Code::ProofInvalid,
            Self::Validation(_) => Code::ValidationError,
            Self::RateLimited { .. } => Code::RateLimitExceeded,
            Self::ActionLimited { .. } => Code::ActionLimitReached,
            Self::AlreadyExists { .. } => Code::AlreadyExists,
            Self::Banned | Self::NotAdmin | Self::OriginNotAllowed => Code::Forbidden,
            Self::IdempotencyMismatch => Code::IdempotencyMismatch,
            Self::NotFound => Code::NotFound,
            Self::MethodNotAllowed => Code::MethodNotAllowed,
            Self::PayloadTooLarge => Code::PayloadTooLarge,
            Self::UnsupportedMediaType => Code::UnsupportedMediaType,
            Self::NoSocket | Self::Unavailable(_) => Code::ServiceUnavailable,
        }
    }

    /// The message in the response. The texts about tokens, sessions, points and actions are part of the API.
    pub fn message(&self) -> String {
        let plain = match self {
            Self::Unauthorized => "No access token provided",
            Self::InvalidAccessToken | Self::AccessTokenTooLong { .. } => "Invalid or expired access token",
            Self::NoActionToken => "No action token provided",
            Self::InvalidActionToken => "Invalid token",
            Self::InvalidCredentials => "Invalid username or password",
            Self::TokenExpired => "Token has expired, please start again",
            Self::SessionExpired => "Session expired, please start new game",
            Self::NoSession => "No active game session, please start a game",
            Self::SessionMismatch => "Token belongs to another session",
            Self::InvalidPoints { .. } => "Invalid points value",
            Self::UserNotFound => "User not found",
            Self::BoardNotFound => "Board not found",
            Self::PeriodNotFound => "Period not found",
            Self::TokenAlreadyUsed => "Token has been used, use latest token",
            Self::InvalidAction { .. } | Self::ActionClosed { .. } => "Invalid action type",
            Self::ScoreFull => "The score can't exceed 9007199254740991",
            Self::ProofInvalid { .. } => "The proof is invalid, please start again",
            Self::Validation(fields) => return validation_message(fields),
            Self::RateLimited { .. } => "Rate limit exceeded",
            Self::ActionLimited { wait_ms, .. } => {
                return format!(
                    "You've reached the limit for this action, try again in {}",
                    rounded_up(*wait_ms)
                );
            }
            Self::AlreadyExists { field } => return format!("This {field} is already taken"),
            Self::Banned => "This account is banned",
            Self::NotAdmin => "Admin role required",
            Self::OriginNotAllowed => "This origin is not allowed, add it to server.cors_origins",
            Self::IdempotencyMismatch => {
                "This Idempotency-Key was used for a different request, send a new key"
            }
            Self::NotFound => "Not found",
            Self::MethodNotAllowed => "Method not allowed",
            Self::PayloadTooLarge => "The body is larger than 16 KiB",
            Self::UnsupportedMediaType => "Send the body as application/json",
            Self::NoSocket => "This node accepts no more connections at present, please reconnect",
            Self::Unavailable(reason) => reason,
        };
        plain.to_owned()
    }
}

fn validation_message(fields: &[FieldError]) -> String {
    let named: Vec<_> = fields.iter().map(|it| format!("{}: {}", it.field, it.problem)).collect();
    format!("Invalid request: {}", named.join("; "))
}

/// A duration in seconds, minutes or hours, such as `36 minutes`.
fn rounded_up(ms: u64) -> String {
    let (count, unit) = match ms.div_ceil(1000) {
        seconds @ 0..=60 => (seconds.max(1), "second"),
        seconds @ 61..=3600 => (seconds.div_ceil(60), "minute"),
        seconds => (seconds.div_ceil(3600), "hour"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

macro_rules! codes {
    ($($name:ident => $text:literal),+ $(,)?) => {
        /// The closed list of error codes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[allow(missing_docs, reason = "the text next to each name documents it")]
        pub enum Code { $($name),+ }

        impl Code {
            /// All codes, in the order of the API documentation.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The value of `metadata.errorCode`.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),+ }
            }
        }
    };
}

codes! {
    Unauthorized => "UNAUTHORIZED",
    InvalidToken => "INVALID_TOKEN",
    InvalidCredentials => "INVALID_CREDENTIALS",
    TokenExpired => "TOKEN_EXPIRED",
    TokenNotFound => "TOKEN_NOT_FOUND",
    TokenAlreadyUsed => "TOKEN_ALREADY_USED",
    SessionMismatch => "SESSION_MISMATCH",
    InvalidAction => "INVALID_ACTION",
    InvalidPoints => "INVALID_POINTS",
    ProofInvalid => "PROOF_INVALID",
    ValidationError => "VALIDATION_ERROR",
    RateLimitExceeded => "RATE_LIMIT_EXCEEDED",
    ActionLimitReached => "ACTION_LIMIT_REACHED",
    UserNotFound => "USER_NOT_FOUND",
    BoardNotFound => "BOARD_NOT_FOUND",
    PeriodNotFound => "PERIOD_NOT_FOUND",
    AlreadyExists => "ALREADY_EXISTS",
    Forbidden => "FORBIDDEN",
    IdempotencyMismatch => "IDEMPOTENCY_MISMATCH",
    NotFound => "NOT_FOUND",
    MethodNotAllowed => "METHOD_NOT_ALLOWED",
    PayloadTooLarge => "PAYLOAD_TOO_LARGE",
    UnsupportedMediaType => "UNSUPPORTED_MEDIA_TYPE",
    ServiceUnavailable => "SERVICE_UNAVAILABLE",
    InternalError => "INTERNAL_ERROR",
}

/// An internal error. Its causes go to the log, never to the caller.
#[derive(Debug)]
pub struct Fault {
    operation: &'static str,
    cause: Box<dyn StdError + Send + Sync>,
    /// A store is unavailable, so the same request may succeed later (503 instead of 500).
    pub retryable: bool,
}

impl Fault {
    /// A permanent fault of an operation, named in `snake_case` as in the metrics: `find_bans`.
    pub fn new(operation: &'static str, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { operation, cause: cause.into(), retryable: false }
    }

    /// A fault of an unavailable store: the caller may retry.
    pub fn retryable(operation: &'static str, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { retryable: true, ..Self::new(operation, cause) }
    }
}

/// A fault of several requests: each gets it.
impl Clone for Fault {
    fn clone(&self) -> Self {
        Self { cause: text_of(&*self.cause).into(), ..*self }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "could not {}: {}", self.operation.replace('_', " "), text_of(&*self.cause))
    }
}

/// The text of an error and its causes.
fn text_of(error: &(dyn StdError + 'static)) -> String {
    let (mut text, mut cause) = (error.to_string(), error.source());
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        // Some errors repeat the text of their source.
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    text
}

impl StdError for Fault {}
