//! The counts, and those that are kept to be compared with.

use std::fmt::{self, Write as _};
use std::process::Command;

use serde::{Deserialize, Serialize};

/// From the root of the repository, where `make` runs.
const KEPT: &str = "loadtest/instructions/counts.json";
/// How far a count may be from the kept one.
const TOLERANCE: f64 = 0.03;

/// Instructions for one request.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct Count {
    pub node: u64,
    pub redis: u64,
}

/// Each kind of work.
#[derive(Debug, Deserialize, Serialize)]
pub struct Counts {
    /// The programs by whose releases the counts differ.
    pub by: String,
    /// An action is begun (`init`).
    pub issue: Count,
    /// It is redeemed (`finalize`).
    pub award: Count,
    /// The board is read.
    pub board: Count,
    /// Both are written to Postgres; what Postgres does for it is not counted.
    pub ledger: Count,
}

impl Counts {
    pub fn kept() -> Self {
        let text = std::fs::read_to_string(KEPT).expect("`make instructions UPDATE=1` makes it");
        serde_json::from_str(&text).unwrap()
    }

    pub fn keep(&self) {
        std::fs::write(KEPT, serde_json::to_string_pretty(self).unwrap() + "\n").unwrap();
    }

    fn named(&self) -> [(String, u64); 8] {
        let each =
            [("issue", self.issue), ("award", self.award), ("board", self.board), ("ledger", self.ledger)];
        let mut named = each.iter().flat_map(|(name, it)| {
            [(format!("{name}, node"), it.node), (format!("{name}, Redis"), it.redis)]
        });
        std::array::from_fn(|_| named.next().unwrap_or_default())
    }

    /// Says how they differ from the kept ones, and whether one grew too much.
    pub fn compare(&self, kept: &Self) -> (String, bool) {
        let (mut report, mut grew, mut shrank) = (String::new(), false, false);
        if self.by != kept.by {
            let _ = writeln!(report, "Counted by {}; the kept ones by {}", self.by, kept.by);
        }
        for ((name, now), (_, kept)) in self.named().into_iter().zip(kept.named()) {
            // What hardly does anything says nothing by its ratio.
            let margin = (kept as f64 * TOLERANCE).max(SMALL);
            let apart = now as f64 - kept as f64;
            let verdict = if apart > margin {
                grew = true;
                "  GREW"
            } else if apart < -margin {
                shrank = true;
                "  shrank"
            } else {
                ""
            };
            let percent = 100.0 * apart / kept.max(1) as f64;
            let _ = writeln!(report, "{name:<15}{now:>9}  kept {kept:>9}  {percent:>+6.1} %{verdict}");
        }
        if grew {
            report += "An award became dearer. If it has to be so: make instructions UPDATE=1\n";
        } else if shrank {
            report += "It became cheaper. Keep the lower counts: make instructions UPDATE=1\n";
        }
        (report.trim_end().to_owned(), grew)
    }
}

/// Instructions by which any count may differ.
const SMALL: f64 = 500.0;

/// What the counts depend on beside our own code.
pub fn programs() -> String {
    let version = |program: &str| {
        let output = Command::new(program).arg("--version").output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let redis = version("redis-server");
    let redis = redis.split(' ').find_map(|it| it.strip_prefix("v=")).unwrap_or_default();
    format!("{} and Redis {redis} on {}", version("valgrind"), std::env::consts::ARCH)
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.named().iter().try_for_each(|(name, count)| writeln!(f, "{name:<15}{count:>9}"))
    }
}
