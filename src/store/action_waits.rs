//! `lua/action_waits.lua`.

use uuid::Uuid;

use super::{Store, limits_text};
use crate::action::Limits;
use crate::error::Fault;

impl Store {
    /// Milliseconds until the user may start each action again (0: now), by the actions' own limits. Open hours are not among them.
    ///
    /// # Errors
    /// Redis is away, or answers what the script cannot.
    pub async fn action_waits(&self, user: Uuid, actions: &[(&str, &Limits)]) -> Result<Vec<u64>, Fault> {
        let shard = self.shard(user);
        let keys: Vec<_> = actions.iter().map(|(kind, _)| shard.keys.action_limit(user, kind)).collect();
        let keys: Vec<_> = keys.iter().map(String::as_str).collect();
        let limits: Vec<_> = actions.iter().map(|(_, limits)| limits_text(limits)).collect();
        let mut reply = self.run(shard, &self.scripts.action_waits, &keys, &limits).await?;
        reply.take(actions.len())
    }
}
