//! Reservations of tokens while a webhook judges their proofs, and `lua/release.lua`. `lua/lib/judging.lua` states the rule.

use uuid::Uuid;

use crate::action::ProofResult;
use crate::error::Fault;
use crate::store::Store;
use crate::store::script::declaration::{Encode, script};

/// A token's reservation: only the request that has it may have its proof judged.
#[derive(Clone, Copy, Debug)]
pub struct Reservation {
    /// Its id.
    pub id: Uuid,
    /// How long judging may take. After that the reservation expires.
    pub ttl_ms: u64,
}

/// As `read_reservation` of `lua/lib/judging.lua` reads it.
impl Encode for &Reservation {
    fn encode(&self, command: &mut redis::Cmd) {
        format!("{} {}", self.id, self.ttl_ms).encode(command);
    }
}

script! {
    release as ReleaseCall needs [reply judging]
    keys [judging]
    args { reservation: &'a Reservation => read_reservation }
}

/// Who judges a proof, and whether that is done when a script runs.
#[derive(Clone, Copy, Debug, Default)]
pub enum Judging<'a> {
    /// The node judged it without a webhook. This run makes all checks and spends the token.
    #[default]
    Local,
    /// A webhook must judge it. This run makes all checks and reserves the token.
    Pending(&'a Reservation),
    /// A webhook judged it under this reservation. This run awards, or spends the token.
    Done(&'a Reservation),
}

impl<'a> Judging<'a> {
    /// The reservation, where a webhook judges.
    pub(in crate::store) fn reservation(self) -> Option<&'a Reservation> {
        match self {
            Self::Local => None,
            Self::Pending(reservation) | Self::Done(reservation) => Some(reservation),
        }
    }

    /// The verdict as the scripts read it.
    pub(in crate::store) fn verdict_text(self, verdict: &ProofResult) -> &'static str {
        match (self, verdict.is_valid) {
            (Self::Pending(_), _) => "?",
            (_, true) => "1",
            (_, false) => "0",
        }
    }
}

impl Store {
    /// Ends a reservation, so that the token can be tried again at once. Returns false if it had expired.
    ///
    /// # Errors
    /// Redis is unavailable; then the reservation expires.
    pub async fn release(
        &self,
        user: Uuid,
        token_id: &str,
        reservation: &Reservation,
    ) -> Result<bool, Fault> {
        let shard = self.shard(user);
        let judging = shard.keys.judging(token_id);
        let mut reply = self.run(shard, &ReleaseCall { judging: judging.into(), reservation }).await?;
        Ok(reply.next::<u8>()? == 1)
    }
}
