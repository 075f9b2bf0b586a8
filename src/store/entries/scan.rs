//! Reads all of a period, to compare it with the ledger.

use uuid::Uuid;

use crate::error::Fault;
use crate::store::Store;
use crate::store::entries::PeriodKey;
use crate::store::entries::apply::split_suffix;
use crate::store::entries::order::EntryOrder;

/// Members per step of a scan.
const AT_ONCE: usize = 1000;

/// One step of a scan of a board.
#[derive(Clone, Debug)]
pub struct ScannedEntries {
    /// The users of the members.
    pub users: Vec<Uuid>,
    /// Members that are not entries.
    pub invalid: Vec<Vec<u8>>,
    /// The next cursor; 0 at the end.
    pub cursor: u64,
}

impl Store {
    /// The values of the tag that a board is split by, for which a period has a board.
    ///
    /// # Errors
    /// Redis is unavailable.
    pub async fn split_values(&self, key: PeriodKey<'_>) -> Result<Vec<String>, Fault> {
        let place = self.board_place(key.board);
        let mut fields = redis::cmd("HKEYS");
        fields.arg(format!("{}:state", key.scores(&place)));
        let fields: Vec<String> = self.ask(&place, "read_entries_state", &fields).await?;
        Ok(fields.iter().filter_map(|field| field.strip_prefix("version@")).map(str::to_owned).collect())
    }

    /// Reads some members of a period's board, or of one value's board.
    ///
    /// # Errors
    /// Redis is unavailable.
    pub async fn scan_entries(
        &self,
        key: PeriodKey<'_>,
        split: Option<&str>,
        order: EntryOrder,
        cursor: u64,
    ) -> Result<ScannedEntries, Fault> {
        let place = self.board_place(key.board);
        let mut scan = redis::cmd("ZSCAN");
        scan.arg(format!("{}{}", key.scores(&place), split_suffix(split)));
        scan.arg(cursor).arg("COUNT").arg(AT_ONCE);
        let (cursor, members): (u64, Vec<(Vec<u8>, f64)>) = self.ask(&place, "scan_entries", &scan).await?;
        let (mut users, mut invalid) = (Vec::new(), Vec::new());
        for (member, score) in members {
            match order.read(&member, score as i64) {
                Some((user, _)) => users.push(user),
                None => invalid.push(member),
            }
        }
        Ok(ScannedEntries { users, invalid, cursor })
    }

    /// The numbers of members and of users that a period's board, or one value's board, has. They are equal.
    ///
    /// # Errors
    /// Redis is unavailable.
    pub async fn count_entries(&self, key: PeriodKey<'_>, split: Option<&str>) -> Result<(u64, u64), Fault> {
        let place = self.board_place(key.board);
        let scores = format!("{}{}", key.scores(&place), split_suffix(split));
        let mut count = redis::pipe();
        count.atomic().cmd("ZCARD").arg(&scores).cmd("HLEN").arg(format!("{scores}:entries"));
        self.ask_all(&place, "count_entries", &count).await
    }

    /// Asks the ledger's leader to load a period again. Until it has, the period shows what it shows, as stale.
    ///
    /// # Errors
    /// Redis is unavailable.
    pub async fn request_entries_load(&self, key: PeriodKey<'_>) -> Result<(), Fault> {
        let place = self.board_place(key.board);
        let scores = key.scores(&place);
        let mut request = redis::pipe();
        request.cmd("HDEL").arg(format!("{scores}:state")).arg("seq").ignore();
        request.cmd("DEL").arg(format!("{scores}:loading")).ignore();
        self.ask_all(&place, "request_entries_load", &request).await
    }

    /// The entries of a load of this period that is under way.
    ///
    /// # Errors
    /// Redis is unavailable.
    pub async fn entries_loading(&self, key: PeriodKey<'_>) -> Result<Option<u64>, Fault> {
        let place = self.board_place(key.board);
        let mut get = redis::cmd("GET");
        get.arg(format!("{}:loading", key.scores(&place)));
        self.ask(&place, "read_entries_loading", &get).await
    }
}
