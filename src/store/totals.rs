//! Totals in bulk: loading them from the ledger, and reading them back to compare. Not for the award path.

use uuid::Uuid;

use super::{Store, fault, keys};
use crate::error::Fault;

/// A user's total in its two places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Total {
    /// In the board's sorted set.
    pub board: Option<u64>,
    /// In the user's own key.
    pub own: Option<u64>,
}

/// One step of a walk over all members of the board.
pub struct Members {
    /// Some members, perhaps seen before.
    pub users: Vec<String>,
    /// Where to go on; 0 at the end.
    pub cursor: u64,
}

/// What an action's own limits have counted of a user, as `lua/lib/limits.lua` keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted {
    /// Who.
    pub user: Uuid,
    /// Of which action.
    pub action: String,
    /// When the last award was, in ms.
    pub at_ms: i64,
    /// The UTC hour's number.
    pub hour: i64,
    /// Awards in it.
    pub in_hour: i64,
    /// The UTC day's number.
    pub day: i64,
    /// Awards in it.
    pub in_day: i64,
    /// When no limit can look at it any more, in ms.
    pub until_ms: i64,
}

/// What Redis holds of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Who.
    pub user: Uuid,
    /// The total.
    pub total: u64,
    /// How much of it is not shown.
    pub held: u64,
    /// Whether the user is banned.
    pub banned: bool,
    /// Whether the user is set aside.
    pub aside: bool,
}

impl Standing {
    /// Of a user without restrictions.
    pub fn of(user: Uuid, total: u64) -> Self {
        Self { user, total, held: 0, banned: false, aside: false }
    }
}

/// Adds one command with all these words, if there are any.
fn pipeline_of(
    pipeline: &mut redis::Pipeline,
    name: &str,
    key: Option<&str>,
    words: impl Iterator<Item = String>,
) {
    let mut words = words.peekable();
    if words.peek().is_some() {
        let mut command = redis::cmd(name);
        key.into_iter().for_each(|it| {
            command.arg(it);
        });
        words.for_each(|it| {
            command.arg(it);
        });
        pipeline.add_command(command).ignore();
    }
}

impl Store {
    /// Sets what users have; the board must be closed, or the users must be new.
    ///
    /// # Errors
    /// Redis is away; some may be set.
    pub async fn load_totals(&self, standings: &[Standing]) -> Result<(), Fault> {
        // Bans count from now on, so that nodes are told of whoever came in while the board was loaded.
        let now_ms = self.now_us().await? / 1000;
        let mut pipeline = redis::pipe();
        let shown = standings.iter().filter(|it| !it.banned && it.total > it.held);
        pipeline_of(
            &mut pipeline,
            "ZADD",
            Some(keys::BOARD),
            shown.flat_map(|it| [(it.total - it.held).to_string(), it.user.to_string()]),
        );
        let totals = standings.iter().filter(|it| it.total > 0);
        pipeline_of(
            &mut pipeline,
            "MSET",
            None,
            totals.flat_map(|it| [keys::user_score(it.user), it.total.to_string()]),
        );
        let aside = standings.iter().filter(|it| it.aside);
        pipeline_of(
            &mut pipeline,
            "MSET",
            None,
            aside.flat_map(|it| [keys::aside(it.user), (it.total - it.held).to_string()]),
        );
        let banned = || standings.iter().filter(|it| it.banned);
        pipeline_of(
            &mut pipeline,
            "MSET",
            None,
            banned().flat_map(|it| [keys::ban(it.user), "1".to_owned()]),
        );
        pipeline_of(
            &mut pipeline,
            "ZADD",
            Some(keys::BANNED),
            banned().flat_map(|it| [now_ms.to_string(), it.user.to_string()]),
        );
        pipeline.exec_async(&mut self.command()).await.map_err(|error| fault("load totals", error))
    }

    /// Sets what limits have counted; the board must be closed.
    ///
    /// # Errors
    /// Redis is away; some may be set.
    pub async fn load_limits(&self, counted: &[Counted]) -> Result<(), Fault> {
        let mut pipeline = redis::pipe();
        for it in counted {
            let key = keys::action_limit(it.user, &it.action);
            let fields = [
                ("at", it.at_ms),
                ("hour", it.hour),
                ("in_hour", it.in_hour),
                ("day", it.day),
                ("in_day", it.in_day),
            ];
            pipeline.hset_multiple(&key, &fields).ignore();
            pipeline.cmd("PEXPIREAT").arg(&key).arg(it.until_ms).ignore();
        }
        pipeline.exec_async(&mut self.command()).await.map_err(|error| fault("load limits", error))
    }

    /// Takes all totals and restrictions out, so that they can be loaded anew; of an older copy the tokens and sessions too, since
    /// nobody can say which were used. The ten stay: nodes may look at them meanwhile, and `mend` takes out what no longer
    /// holds. One step of a walk: returns where to go on, 0 at the end.
    ///
    /// # Errors
    /// Redis is away; the board is closed and half empty, and `laurel rebuild` goes on.
    pub async fn empty_some(&self, cursor: u64, older_copy: bool) -> Result<u64, Fault> {
        let doing = "empty the board";
        if cursor == 0 {
            let mut unlink = redis::cmd("UNLINK");
            unlink.arg(keys::BOARD).arg(keys::BANNED);
            unlink.exec_async(&mut self.command()).await.map_err(|error| fault(doing, error))?;
        }
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor).arg("COUNT").arg(5000);
        let (next, mut found): (u64, Vec<String>) =
            scan.query_async(&mut self.command()).await.map_err(|error| fault(doing, error))?;
        let begins = |it: &str, prefixes: &[&str]| prefixes.iter().any(|prefix| it.starts_with(prefix));
        found.retain(|it| begins(it, &keys::IN_THE_LEDGER) || (older_copy && begins(it, &keys::USED_UP)));
        if !found.is_empty() {
            let mut unlink = redis::cmd("UNLINK");
            unlink.arg(found);
            unlink.exec_async(&mut self.command()).await.map_err(|error| fault(doing, error))?;
        }
        Ok(next)
    }

    /// The totals of some users, in their order.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn totals(&self, users: &[Uuid]) -> Result<Vec<Total>, Fault> {
        if users.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipeline = redis::pipe();
        let mut members = redis::cmd("ZMSCORE");
        members.arg(keys::BOARD);
        let mut own = redis::cmd("MGET");
        for user in users {
            members.arg(user.to_string());
            own.arg(keys::user_score(*user));
        }
        pipeline.add_command(members).add_command(own);
        let (board, own): (Vec<Option<f64>>, Vec<Option<u64>>) =
            pipeline.query_async(&mut self.command()).await.map_err(|error| fault("read totals", error))?;
        let totals = board.into_iter().zip(own);
        Ok(totals.map(|(board, own)| Total { board: board.map(|it| it as u64), own }).collect())
    }

    /// Some members of the board.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn members(&self, cursor: u64) -> Result<Members, Fault> {
        let mut scan = redis::cmd("ZSCAN");
        scan.arg(keys::BOARD).arg(cursor).arg("COUNT").arg(5000);
        let (cursor, pairs): (u64, Vec<(String, f64)>) =
            scan.query_async(&mut self.command()).await.map_err(|error| fault("walk the board", error))?;
        Ok(Members { users: pairs.into_iter().map(|(user, _)| user).collect(), cursor })
    }
}
