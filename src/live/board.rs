//! The top list as a value.

use uuid::Uuid;

use crate::error::Fault;
use crate::store::{BoardEntry, BoardId};

/// One place of the top list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The user's UUID.
    pub user: Uuid,
    /// The user's serial number.
    pub number: i64,
    /// The name to show.
    pub username: String,
    /// The user's points.
    pub score: u64,
    /// 1 + the number of users with a higher score; equal scores share a rank.
    pub rank: u64,
}

/// One version of the top list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Board {
    /// Which board this is.
    pub id: BoardId,
    /// Grows with every change: µs by Redis' clock, raised where that stood still.
    pub version: i64,
    /// At most ten rows, highest score first; within a tie, the user who reached the score first.
    pub rows: Vec<Row>,
}

impl Board {
    /// The entries of the top list. Their HLC is 0: a board does not have it.
    pub fn entries(&self) -> Vec<BoardEntry> {
        let entry = |row: &Row| BoardEntry {
            score: row.score,
            hlc_us: 0,
            user: row.user,
            number: row.number,
            username: row.username.clone(),
        };
        self.rows.iter().map(entry).collect()
    }

    /// Ranks entries, best first.
    pub fn from_entries(id: BoardId, version: i64, entries: impl IntoIterator<Item = BoardEntry>) -> Self {
        let mut rows: Vec<Row> = Vec::with_capacity(10);
        for (index, entry) in entries.into_iter().enumerate() {
            let BoardEntry { score, user, number, username, .. } = entry;
            let shared_rank = rows.last().filter(|above| above.score == score).map(|above| above.rank);
            rows.push(Row { user, number, username, score, rank: shared_rank.unwrap_or(index as u64 + 1) });
        }
        Self { id, version, rows }
    }

    /// Reads a publication: the version, then the entries, one per line.
    ///
    /// # Errors
    /// It is malformed.
    pub fn read_publication(id: BoardId, text: &str) -> Result<Self, Fault> {
        let mut lines = text.lines();
        let version = lines.next().and_then(|line| line.parse().ok());
        let version = version.ok_or_else(|| Fault::new("read_board", "a publication has no version"))?;
        let entries: Result<Vec<BoardEntry>, _> = lines.map(str::parse).collect();
        Ok(Self::from_entries(id, version, entries.map_err(|error| Fault::new("read_board", error))?))
    }

    /// When this version was made, in ms since the Unix epoch.
    pub fn changed_at_ms(&self) -> i64 {
        self.version / 1000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_scores_share_a_rank() {
        let user = Uuid::nil();
        let entries: Vec<_> =
            [90, 80, 80, 70].iter().map(|score| format!("{score} 1 {user} 7 a name")).collect();
        let board =
            Board::from_entries(BoardId::GLOBAL, 5, entries.iter().map(|entry| entry.parse().unwrap()));
        assert_eq!(board.rows.iter().map(|it| it.rank).collect::<Vec<_>>(), [1, 2, 2, 4]);
        assert_eq!(board.rows[0].username, "a name");
        assert_eq!(
            Board::read_publication(BoardId::GLOBAL, &format!("5\n{}", entries.join("\n"))).unwrap(),
            board
        );
        assert_eq!(Board::read_publication(BoardId::GLOBAL, "5\n").unwrap().rows, []);
        assert!(
            Board::read_publication(BoardId::GLOBAL, "").is_err()
                && Board::read_publication(BoardId::GLOBAL, "1\n1 2 3").is_err()
        );
    }
}
