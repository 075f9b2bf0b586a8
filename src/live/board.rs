//! The top list as a value.

use uuid::Uuid;

use crate::error::Fault;

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
    /// Grows with every change: µs by Redis' clock, raised where that stood still.
    pub version: i64,
    /// At most ten rows, highest score first; within a tie, the user who reached the score first.
    pub rows: Vec<Row>,
}

impl Board {
    /// The entries that `read` reads. Their clock is 0: a board does not have it.
    pub fn entries(&self) -> Vec<String> {
        let entry = |it: &Row| format!("{} 0 {} {} {}", it.score, it.user, it.number, it.username);
        self.rows.iter().map(entry).collect()
    }

    /// Reads entries `score clock userId number username`, best first, as `lua/lib/board.lua` writes them.
    ///
    /// # Errors
    /// An entry is malformed.
    pub fn read(version: i64, entries: &[impl AsRef<str>]) -> Result<Self, Fault> {
        let mut rows: Vec<Row> = Vec::with_capacity(entries.len());
        for (index, entry) in entries.iter().enumerate() {
            let row = read_row(entry.as_ref())
                .ok_or_else(|| Fault::new("read the board", "an entry of the top list is malformed"))?;
            let shared_rank = rows.last().filter(|above| above.score == row.score).map(|above| above.rank);
            rows.push(Row { rank: shared_rank.unwrap_or(index as u64 + 1), ..row });
        }
        Ok(Self { version, rows })
    }

    /// Reads a publication: the version, then the entries, one per line.
    ///
    /// # Errors
    /// It is malformed.
    pub fn read_publication(text: &str) -> Result<Self, Fault> {
        let mut lines = text.lines();
        let version = lines.next().and_then(|it| it.parse().ok());
        let version = version.ok_or_else(|| Fault::new("read_board", "a publication has no version"))?;
        Self::read(version, &lines.collect::<Vec<_>>())
    }

    /// When this version was made, in ms since the Unix epoch.
    pub fn changed_at_ms(&self) -> i64 {
        self.version / 1000
    }
}

fn read_row(entry: &str) -> Option<Row> {
    let mut words = entry.splitn(5, ' ');
    let score = words.next()?.parse().ok()?;
    let _clock = words.next()?;
    Some(Row {
        score,
        user: words.next()?.parse().ok()?,
        number: words.next()?.parse().ok()?,
        username: words.next()?.to_owned(),
        rank: 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_scores_share_a_rank() {
        let user = Uuid::nil();
        let entries: Vec<_> =
            [90, 80, 80, 70].iter().map(|score| format!("{score} 1 {user} 7 a name")).collect();
        let board = Board::read(5, &entries).unwrap();
        assert_eq!(board.rows.iter().map(|it| it.rank).collect::<Vec<_>>(), [1, 2, 2, 4]);
        assert_eq!(board.rows[0].username, "a name");
        assert_eq!(Board::read_publication(&format!("5\n{}", entries.join("\n"))).unwrap(), board);
        assert_eq!(Board::read_publication("5\n").unwrap().rows, []);
        assert!(Board::read_publication("").is_err() && Board::read(1, &["1 2 3"]).is_err());
    }
}
