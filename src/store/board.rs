//! `lua/look.lua`, `lua/flush.lua`, `lua/mend.lua`, and the gate: the board is open while its state has an epoch.

use uuid::Uuid;

use super::{Store, fault, keys};
use crate::error::Fault;

/// What a node sees when it looks.
#[derive(Debug)]
pub struct Look {
    /// Whether the board holds what the ledger holds, so that awards can be taken.
    pub open: bool,
    /// Entries that Postgres does not have yet.
    pub outbox: u64,
    /// The board's version.
    pub version: i64,
    /// The ten, best first, if they are newer than the caller's.
    pub ten: Vec<String>,
}

impl Store {
    /// Looks at the board and the outbox.
    ///
    /// # Errors
    /// Redis is away, or answers what the script cannot.
    pub async fn look(&self, known_version: i64) -> Result<Look, Fault> {
        let keys = [keys::BOARD_STATE, keys::BOARD_TEN, keys::OUTBOX];
        let mut reply = self.run("look", &self.scripts.look, &keys, &[known_version.to_string()]).await?;
        Ok(Look {
            open: reply.next::<u8>()? == 1,
            outbox: reply.next()?,
            version: reply.next()?,
            ten: reply.rest()?,
        })
    }

    /// Publishes a board that was held back. Returns the ms until it should be called again, 0 if nothing is left.
    ///
    /// # Errors
    /// Redis is away, or answers what the script cannot.
    pub async fn flush(&self, publish_window_ms: u64) -> Result<u64, Fault> {
        let keys = [keys::BOARD_STATE, keys::BOARD_TEN, keys::BOARD_WINDOW];
        let arguments = [keys::BOARD_CHANNEL.to_owned(), publish_window_ms.to_string()];
        self.run("flush", &self.scripts.flush, &keys, &arguments).await?.next()
    }

    /// Merges candidates (`score moment userId number username`) into the ten. Returns as `flush` does.
    ///
    /// # Errors
    /// Redis is away, or answers what the script cannot.
    pub async fn mend(&self, candidates: &[String], publish_window_ms: u64) -> Result<u64, Fault> {
        let keys = [keys::BOARD, keys::BOARD_STATE, keys::BOARD_TEN, keys::BOARD_WINDOW];
        let mut arguments = vec![keys::BOARD_CHANNEL.to_owned(), publish_window_ms.to_string()];
        arguments.extend_from_slice(candidates);
        self.run("mend", &self.scripts.mend, &keys, &arguments).await?.next()
    }

    /// Opens the board for awards under a new epoch. Returns whether it was closed.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn open_board(&self) -> Result<bool, Fault> {
        let mut command = redis::cmd("HSETNX");
        command.arg(keys::BOARD_STATE).arg("epoch").arg(Uuid::new_v4().to_string());
        command.query_async(&mut self.command()).await.map_err(|error| fault("open the board", error))
    }

    /// Closes the board: awards are refused until it is opened again. Returns whether it was open.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn close_board(&self) -> Result<bool, Fault> {
        let mut command = redis::cmd("HDEL");
        command.arg(keys::BOARD_STATE).arg("epoch");
        command.query_async(&mut self.command()).await.map_err(|error| fault("close the board", error))
    }
}
