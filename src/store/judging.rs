//! A token's reservation while a webhook judges its proof, and `lua/release.lua`. `lua/lib/judging.lua` has the rule.

use uuid::Uuid;

use super::Store;
use crate::action::ProofResult;
use crate::error::Fault;

/// A token's reservation: one request at a time has its proof judged.
#[derive(Clone, Copy, Debug)]
pub struct Reservation {
    /// Its id.
    pub id: Uuid,
    /// How long the judging may take; then the reservation ends by itself.
    pub ttl_ms: u64,
}

impl Reservation {
    /// As `lua/lib/judging.lua` reads it.
    pub(super) fn text(&self) -> String {
        format!("{} {}", self.id, self.ttl_ms)
    }
}

/// How far the judging of a proof is when a script runs.
#[derive(Clone, Copy, Debug, Default)]
pub enum Judging<'a> {
    /// The node judged it without a webhook: one run makes all checks and spends the token.
    #[default]
    Local,
    /// A webhook has to judge it: this run makes all checks and reserves the token.
    Pending(&'a Reservation),
    /// A webhook was asked under this reservation: this run awards, or spends the token.
    Done(&'a Reservation),
}

impl<'a> Judging<'a> {
    /// The reservation, where a webhook judges.
    pub(super) fn reservation(self) -> Option<&'a Reservation> {
        match self {
            Self::Local => None,
            Self::Pending(reservation) | Self::Done(reservation) => Some(reservation),
        }
    }

    /// The verdict as the scripts read it.
    pub(super) fn verdict_text(self, verdict: &ProofResult) -> String {
        let text = match (self, verdict.is_valid) {
            (Self::Pending(_), _) => "?",
            (_, true) => "1",
            (_, false) => "0",
        };
        text.to_owned()
    }
}

impl Store {
    /// Ends a reservation, so that the token can be tried again at once. Returns false if it had ended already.
    ///
    /// # Errors
    /// Redis is away; then the reservation ends by itself.
    pub async fn release(
        &self,
        user: Uuid,
        token_id: &str,
        reservation: &Reservation,
    ) -> Result<bool, Fault> {
        let shard = self.shard(user);
        let judging = shard.keys.judging(token_id);
        let mut reply = self.run(shard, &self.scripts.release, &[&judging], &[reservation.text()]).await?;
        Ok(reply.next::<u8>()? == 1)
    }
}
