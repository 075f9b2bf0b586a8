//! What can go wrong: a `Refusal` is the caller's doing and is told in the contract's words; a `Fault` is ours, keeps its
//! causes for the log and shows the caller a plain sentence. Nothing here knows HTTP: `http/envelope.rs` does.

use std::error::Error as StdError;
use std::fmt;

/// The result of everything a door calls.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an answer is not the one that was asked for.
#[derive(Debug)]
pub enum Error {
    /// The caller's doing.
    Refused(Refusal),
    /// Ours.
    Fault(Fault),
}

impl Error {
    /// What a client is told that it was.
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

/// Where a fixed window of attempts stands (the `RateLimit-*` headers).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateWindow {
    /// Attempts allowed in the window.
    pub limit: u32,
    /// Attempts made, refused ones included.
    pub used: u32,
    /// Milliseconds until the window closes.
    pub reset_ms: u64,
}

/// One malformed field and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// Path inside the body, such as `proof.nonce`.
    pub field: String,
    /// A sentence without the field's name or value.
    pub problem: String,
}

impl FieldError {
    /// A field and what is wrong with it.
    pub fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into() }
    }
}

/// Everything a caller can be refused for (contract, section 2).
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each variant is the code of the same name, told in `message`")]
pub enum Refusal {
    Unauthorized,
    InvalidAccessToken,
    /// An access token that is refused unread, which is no sign of abuse: some providers' are long.
    AccessTokenTooLong {
        max_bytes: usize,
    },
    NoActionToken,
    InvalidActionToken,
    InvalidCredentials,
    TokenExpired,
    /// The game session has run out.
    SessionExpired,
    /// There is no game session.
    NoSession,
    TokenAlreadyUsed,
    SessionMismatch,
    /// With the types that are open there.
    InvalidAction {
        valid: Vec<String>,
    },
    /// The action is not open at this time of day; ms of the UTC day.
    ActionClosed {
        opens_at_ms: u64,
        closes_at_ms: u64,
    },
    /// With what the action can be worth.
    InvalidPoints {
        expected: Vec<u64>,
    },
    UserNotFound,
    /// The largest score a board can hold would be passed.
    ScoreFull,
    /// With the moment of the refusal (ms), so that a repeat under the same idempotency key is the same to the byte.
    ProofInvalid {
        at_ms: i64,
    },
    Validation(Vec<FieldError>),
    /// A window is full; `limit` is the setting that says how many attempts it has.
    RateLimited {
        limit: &'static str,
        window: RateWindow,
    },
    /// The action's own limit, or the points an hour: `limit` is the setting.
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
    /// This node takes no more of those who listen for the moment.
    NoSocket,
    /// For the moment; the caller may come back. The sentence says whether anything was done.
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

    /// The sentence that people read.
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
            Self::TokenAlreadyUsed => "Token has been used, use latest token",
            Self::InvalidAction { .. } | Self::ActionClosed { .. } => "Invalid action type",
            Self::ScoreFull => "The score would exceed the maximum of 2^53 - 1",
            Self::ProofInvalid { .. } => "The proof is invalid",
            Self::Validation(fields) => return validation_message(fields),
            Self::RateLimited { .. } => "Rate limit exceeded",
            Self::ActionLimited { .. } => "You've reached the limit for this action, please try again later",
            Self::AlreadyExists { field } => return format!("This {field} is already taken"),
            Self::Banned => "This account is banned",
            Self::NotAdmin => "Admin role required",
            Self::OriginNotAllowed => "This origin is not allowed; list it in server.cors_origins",
            Self::IdempotencyMismatch => "This idempotency key was used for another request",
            Self::NotFound => "Not found",
            Self::MethodNotAllowed => "Method not allowed",
            Self::PayloadTooLarge => "The body is larger than 16 KiB",
            Self::UnsupportedMediaType => "The body must be application/json",
            Self::NoSocket => "This node accepts no new connections right now, please try again",
            Self::Unavailable(why) => why,
        };
        plain.to_owned()
    }
}

fn validation_message(fields: &[FieldError]) -> String {
    let named: Vec<_> = fields.iter().map(|it| format!("{} {}", it.field, it.problem)).collect();
    format!("Invalid request: {}", named.join("; "))
}

macro_rules! codes {
    ($($name:ident => $text:literal),+ $(,)?) => {
        /// The closed list of error codes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[allow(missing_docs, reason = "the text beside each name is its documentation")]
        pub enum Code { $($name),+ }

        impl Code {
            /// All of them, in the contract's order.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// As it stands in `metadata.errorCode`.
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

/// Something of ours failed. Its causes go to the log, never to the caller.
#[derive(Debug)]
pub struct Fault {
    doing: &'static str,
    cause: Box<dyn StdError + Send + Sync>,
    /// A store is away rather than wrong: the caller is told to come back.
    pub retryable: bool,
}

impl Fault {
    /// A fault while `doing` something, such as "redeem a token".
    pub fn new(doing: &'static str, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { doing, cause: cause.into(), retryable: false }
    }

    /// The same, where the cause is a store that does not answer.
    pub fn retryable(doing: &'static str, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { retryable: true, ..Self::new(doing, cause) }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut told = self.cause.to_string();
        let mut cause = self.cause.source();
        while let Some(inner) = cause {
            let inner_told = inner.to_string();
            // Some errors say what their source says.
            if !told.contains(&inner_told) {
                told = format!("{told}: {inner_told}");
            }
            cause = inner.source();
        }
        write!(f, "could not {}: {told}", self.doing)
    }
}

impl StdError for Fault {}
