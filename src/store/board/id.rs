//! Names of boards.

use std::fmt;

/// The id of a board, as its keys and channels have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BoardId(&'static str);

impl BoardId {
    /// The only board so far: all players, all time.
    pub const GLOBAL: Self = Self("global");
}

impl Default for BoardId {
    fn default() -> Self {
        Self::GLOBAL
    }
}

impl fmt::Display for BoardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}
