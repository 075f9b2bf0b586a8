//! Whether Redis is away, with its encodings, each made once and shared by all.

use std::sync::OnceLock;

use bytes::Bytes;

use super::dialect::{DIALECTS, Dialect};
use crate::live::Status;

/// A status, ready to be sent.
pub struct StatusFrame {
    status: Status,
    told: [OnceLock<Bytes>; DIALECTS],
}

impl StatusFrame {
    /// A frame without encodings yet.
    pub fn new(status: Status) -> Self {
        Self { status, told: Default::default() }
    }

    /// Whether Redis is away.
    pub fn is_degraded(&self) -> bool {
        self.status.degraded
    }

    /// The event that tells a listener, ready to be written.
    pub fn told(&self, dialect: Dialect) -> Bytes {
        self.told[dialect.index()].get_or_init(|| dialect.status(self.status)).clone()
    }
}
