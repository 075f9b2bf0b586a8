//! `lua/confirm.lua`, `lua/lift.lua`, and the gate: which run of Redis holds the board, and in which epoch it was found so.

use std::sync::atomic::Ordering;

use super::{Load, Store, fault, keys};
use crate::error::Fault;

impl Store {
    /// The latest epoch that this node has heard of; 0 at first. A Redis in an earlier one was left behind.
    pub fn known_epoch(&self) -> i64 {
        self.epoch.load(Ordering::Relaxed)
    }

    /// Hears of an epoch. Returns whether there is no later one.
    pub(super) fn learn_epoch(&self, epoch: i64) -> bool {
        self.epoch.fetch_max(epoch, Ordering::Relaxed) <= epoch
    }

    /// Opens the board under an epoch and lifts its version above `least_moment` (µs), if Redis is still in the `run` that was
    /// looked at. A board that was loaded is opened by who loaded it. Returns when the board may be published (ms; 0: it was);
    /// `None` if nothing was done: it is another run, or somebody else loads the board or has opened it.
    ///
    /// # Errors
    /// Redis is away, or answers what the script cannot.
    pub async fn confirm(
        &self,
        run: &str,
        epoch: i64,
        least_moment: i64,
        publish_window_ms: u64,
        load: Option<&Load<'_>>,
    ) -> Result<Option<u64>, Fault> {
        let keys = [keys::BOARD_STATE, keys::BOARD_TEN, keys::BOARD_WINDOW];
        let arguments = [
            run.to_owned(),
            epoch.to_string(),
            least_moment.to_string(),
            keys::BOARD_CHANNEL.to_owned(),
            publish_window_ms.to_string(),
            load.map(|it| it.loader.clone()).unwrap_or_default(),
        ];
        let mut reply = self.run("confirm", &self.scripts.confirm, &keys, &arguments).await?;
        let done = reply.next::<u8>()? == 1;
        let due_ms = reply.next()?;
        self.learn_epoch(if done { epoch } else { 0 });
        Ok(done.then_some(due_ms))
    }

    /// Lifts the version of an open board above one that was shown. Returns when it may be published (ms; 0: it was, or it
    /// had been lifted before).
    ///
    /// # Errors
    /// Redis is away, or answers what the script cannot.
    pub async fn lift(&self, shown_version: i64, publish_window_ms: u64) -> Result<u64, Fault> {
        let keys = [keys::BOARD_STATE, keys::BOARD_TEN, keys::BOARD_WINDOW];
        let arguments =
            [shown_version.to_string(), keys::BOARD_CHANNEL.to_owned(), publish_window_ms.to_string()];
        self.run("lift", &self.scripts.lift, &keys, &arguments).await?.next()
    }

    /// Closes the board until this run is confirmed anew; its epoch stays known.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn suspend_board(&self) -> Result<(), Fault> {
        let mut command = redis::cmd("HDEL");
        command.arg(keys::BOARD_STATE).arg("run");
        command.exec_async(&mut self.command()).await.map_err(|error| fault("suspend the board", error))
    }

    /// Closes the board: awards are refused until it was loaded again.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn close_board(&self) -> Result<(), Fault> {
        let mut command = redis::cmd("HDEL");
        command.arg(keys::BOARD_STATE).arg("epoch");
        command.exec_async(&mut self.command()).await.map_err(|error| fault("close the board", error))
    }
}
