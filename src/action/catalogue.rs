//! The one catalogue of actions behind all doors.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Limits;
use super::fields::{Fields, Notes};
use super::proof::{Proof, Sources};
use super::read::{read_action, read_sources};
use crate::config::{list, read_toml};
use crate::keys::KeyRing;

/// The catalogue that ships.
const SHIPPED: &str = include_str!("actions.toml");

/// Where an action can be redeemed (contract, section 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Flow {
    /// `/api/v1/actions/*`
    Actions,
    /// `/api/v1/action-tokens`, `/api/v1/scores`
    Tokens,
    /// `/api/game/*`, `/api/score/update`
    Game,
}

/// When an award is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Acknowledge {
    /// As soon as Redis has it.
    #[default]
    Redis,
    /// When Postgres has committed it.
    Ledger,
}

/// One entry.
#[derive(Clone, Debug)]
pub struct Action {
    /// Its name.
    pub kind: String,
    /// Its number, for clients that want one.
    pub number: u32,
    /// What an award is worth.
    pub points: u64,
    /// What it is worth where the proof says how hard it was.
    pub points_by_difficulty: BTreeMap<String, u64>,
    /// How long a token for it lives between `init` and `finalize`; none: as the settings say.
    pub token_seconds: Option<u64>,
    /// What has to be shown.
    pub proof: Proof,
    /// Where it is open.
    pub flows: Vec<Flow>,
    /// Its own limits.
    pub limits: Limits,
    /// When an award is answered.
    pub acknowledge: Acknowledge,
}

impl Action {
    /// What an award of some difficulty is worth; of one that the catalogue does not name, what all are worth.
    pub fn worth(&self, difficulty: Option<&str>) -> u64 {
        difficulty.and_then(|it| self.points_by_difficulty.get(it)).copied().unwrap_or(self.points)
    }

    /// The most that an award can be worth.
    pub fn most_points(&self) -> u64 {
        self.points_by_difficulty.values().copied().fold(self.points, u64::max)
    }

    /// All that an award can be worth, in order.
    pub fn possible_points(&self) -> Vec<u64> {
        let points = self.points_by_difficulty.values().copied().chain([self.points]);
        points.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Whether it is open at this door.
    pub fn is_open(&self, flow: Flow) -> bool {
        self.flows.contains(&flow)
    }
}

/// All actions, in their order in the file.
#[derive(Clone)]
pub struct Catalogue {
    actions: Vec<Action>,
    rings: Vec<Arc<KeyRing>>,
}

/// Everything that is wrong with a catalogue, each with its line.
#[derive(Debug, thiserror::Error)]
#[error("{}", list("the action catalogue", .0))]
pub struct CatalogueProblems(pub Vec<String>);

impl Catalogue {
    /// Reads the file, or the catalogue that ships if the name is empty.
    ///
    /// # Errors
    /// Every problem at once.
    pub fn load(file: &str) -> Result<Self, CatalogueProblems> {
        if file.is_empty() {
            return Self::parse(SHIPPED, Path::new(""));
        }
        let path = Path::new(file);
        let text = std::fs::read_to_string(path)
            .map_err(|error| CatalogueProblems(vec![format!("cannot read {file}: {error}")]))?;
        Self::parse(&text, path.parent().unwrap_or(Path::new(""))).map_err(|CatalogueProblems(problems)| {
            CatalogueProblems(problems.iter().map(|it| format!("{file} {it}")).collect())
        })
    }

    /// Reads a catalogue's text; files that it names lie in `folder`.
    ///
    /// # Errors
    /// Every problem at once.
    pub fn parse(text: &str, folder: &Path) -> Result<Self, CatalogueProblems> {
        let table = read_toml(text).map_err(CatalogueProblems)?;
        let notes = Notes::new(text);
        let (actions, sources) = read_all(Fields::of_file(&notes, table), folder);
        let problems = notes.into_problems();
        if problems.is_empty() {
            Ok(Self { actions, rings: sources.rings.into_values().flatten().collect() })
        } else {
            Err(CatalogueProblems(problems))
        }
    }

    /// An action by its type, if it is open at this door.
    pub fn find(&self, kind: &str, flow: Flow) -> Option<&Action> {
        self.actions.iter().find(|it| it.kind == kind && it.is_open(flow))
    }

    /// The rings whose files are to be followed.
    pub fn rings(&self) -> impl Iterator<Item = Arc<KeyRing>> {
        self.rings.iter().cloned()
    }

    /// All of them.
    pub fn all(&self) -> &[Action] {
        &self.actions
    }
}

/// What can be read of a file; what cannot is noted.
fn read_all(mut file: Fields<'_>, folder: &Path) -> (Vec<Action>, Sources) {
    let sources = read_sources(&mut file, folder);
    let entries = file.tables("action", "", |place, entry| match entry.shown("type") {
        Some(kind) => format!("action {kind}"),
        None => format!("action {place}"),
    });
    file.require(!entries.is_empty(), "it has no [[action]]");
    file.finish();
    let mut seen: HashMap<(&str, String), usize> = HashMap::new();
    for entry in &entries {
        for key in ["type", "number"] {
            let Some(value) = entry.shown(key) else { continue };
            let line = entry.line_of(key);
            let first = *seen.entry((key, value.clone())).or_insert(line);
            entry.require(first == line, &format!("{key} {value} is there already, in line {first}"));
        }
    }
    (entries.into_iter().filter_map(|entry| read_action(entry, &sources)).collect(), sources)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// What is told of a catalogue that is refused.
    pub fn problems(text: &str) -> Vec<String> {
        match Catalogue::parse(text, Path::new("")) {
            Ok(_) => panic!("the catalogue should be refused"),
            Err(CatalogueProblems(problems)) => problems,
        }
    }

    #[test]
    fn the_shipped_catalogue_is_the_contracts() {
        let catalogue = Catalogue::load("").unwrap();
        let worth: Vec<_> = catalogue.all().iter().take(4).map(|it| (it.kind.as_str(), it.points)).collect();
        assert_eq!(
            worth,
            [("watch_ad", 10), ("solve_puzzle", 15), ("complete_level", 20), ("daily_bonus", 5)]
        );
        assert_eq!(catalogue.find("daily_bonus", Flow::Game).unwrap().limits.cap_per_day, 1);
        assert!(catalogue.find("demo_quiz", Flow::Actions).is_some());
        assert!(catalogue.find("demo_quiz", Flow::Game).is_none());
    }

    #[test]
    fn a_proof_that_nobody_can_give_is_refused() {
        let text = "[[action]]\ntype = \"a\"\nnumber = 1\npoints = 1\n\
                    proof = { kind = \"elapsed\", min_ms = 30, max_ms = 30 }\n";
        assert_eq!(problems(text).len(), 1);
    }
}
