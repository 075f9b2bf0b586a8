//! `lua/action_waits.lua`.

use uuid::Uuid;

use crate::action::Limits;
use crate::error::Fault;
use crate::store::Store;
use crate::store::script::declaration::script;

script! {
    action_waits as ActionWaitsCall needs [clock limits]
    keys [] more_keys limit_keys
    args {}
    more_args { limits: &'a Limits }
}

impl Store {
    /// Milliseconds until the user may start each action again (0: now), by the actions' own limits without their open hours.
    ///
    /// # Errors
    /// Redis is unavailable, or the reply has another shape.
    pub async fn action_waits(&self, user: Uuid, actions: &[(&str, &Limits)]) -> Result<Vec<u64>, Fault> {
        let shard = self.shard(user);
        let keys = actions.iter().map(|(kind, _)| shard.keys.action_limit(user, kind)).collect();
        let limits: Vec<_> = actions.iter().map(|(_, limits)| *limits).collect();
        let call = ActionWaitsCall { limit_keys: keys, limits: &limits };
        let mut reply = self.run(shard, &call).await?;
        reply.take(actions.len())
    }
}
