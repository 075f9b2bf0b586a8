//! The counts, and their comparison with the committed ones.

use std::fmt::{self, Write as _};
use std::process::Command;

use serde::{Deserialize, Serialize};

/// From the root of the repository, where `make` runs.
const COMMITTED: &str = "loadtest/instructions/counts.json";
/// A count may exceed the committed one by this share, or by this number of instructions.
const TOLERANCE: f64 = 0.03;
const MIN_DIFFERENCE: f64 = 500.0;

/// Instructions per request.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct Count {
    pub node: u64,
    pub redis: u64,
}

/// The counts of each kind of work.
#[derive(Debug, Deserialize, Serialize)]
pub struct Counts {
    /// The programs whose versions affect the counts.
    pub by: String,
    /// `init`.
    pub issue: Count,
    /// `finalize`.
    pub award: Count,
    /// A read of the board.
    pub board: Count,
    /// Writing both to Postgres, without Postgres' own work.
    pub ledger: Count,
}

impl Counts {
    pub fn committed() -> Self {
        let text = std::fs::read_to_string(COMMITTED).expect("`make instructions UPDATE=1` writes it");
        serde_json::from_str(&text).unwrap()
    }

    pub fn save(&self) {
        std::fs::write(COMMITTED, serde_json::to_string_pretty(self).unwrap() + "\n").unwrap();
    }

    fn named(&self) -> Vec<(String, u64)> {
        let kinds =
            [("issue", self.issue), ("award", self.award), ("board", self.board), ("ledger", self.ledger)];
        let named = kinds.iter().flat_map(|(name, count)| {
            [(format!("{name}, node"), count.node), (format!("{name}, Redis"), count.redis)]
        });
        named.collect()
    }

    /// Describes the differences from the committed counts. The second value is whether a count is too large.
    pub fn compare(&self, committed: &Self) -> (String, bool) {
        let (mut report, mut is_larger, mut is_smaller) = (String::new(), false, false);
        if self.by != committed.by {
            let _ = writeln!(report, "Counted by {}; committed by {}", self.by, committed.by);
        }
        for ((name, now), (_, before)) in self.named().into_iter().zip(committed.named()) {
            let margin = (before as f64 * TOLERANCE).max(MIN_DIFFERENCE);
            let difference = now as f64 - before as f64;
            let verdict = if difference > margin {
                is_larger = true;
                "  LARGER"
            } else if difference < -margin {
                is_smaller = true;
                "  smaller"
            } else {
                ""
            };
            let percent = 100.0 * difference / before.max(1) as f64;
            let _ = writeln!(report, "{name:<15}{now:>9}  committed {before:>9}  {percent:>+6.1} %{verdict}");
        }
        if is_larger {
            report += "More instructions than committed. To accept them: make instructions UPDATE=1\n";
        } else if is_smaller {
            report += "Fewer instructions than committed. To save them: make instructions UPDATE=1\n";
        }
        (report.trim_end().to_owned(), is_larger)
    }
}

/// The programs, besides our own code, that affect the counts.
pub fn programs() -> String {
    let version = |program: &str| {
        let output = Command::new(program).arg("--version").output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let redis = version("redis-server");
    let redis = redis.split(' ').find_map(|word| word.strip_prefix("v=")).unwrap_or_default();
    format!("{} and Redis {redis} on {}", version("valgrind"), std::env::consts::ARCH)
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.named().iter().try_for_each(|(name, count)| writeln!(f, "{name:<15}{count:>9}"))
    }
}
