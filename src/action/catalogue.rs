//! The catalogue of actions, shared by all three APIs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Limits;
use super::parse::{read_action, read_sources};
use super::proof::{Proof, Sources};
use crate::config::fields::{self, Fields};
use crate::config::list;
use crate::keyring::KeyRing;

/// The built-in catalogue.
const BUILT_IN: &str = include_str!("actions.toml");

/// An API in which an action can be redeemed.
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

/// When the response to an award is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AckPolicy {
    /// As soon as Redis stores the award.
    #[default]
    Redis,
    /// After Postgres has committed it.
    Ledger,
}

/// An action of the catalogue.
#[derive(Clone, Debug)]
pub struct Action {
    /// Its name, `actionType` in the APIs.
    pub kind: String,
    /// Its number, `actionId` in the catalogue.
    pub number: u32,
    /// The points per award; 0: it counts on boards of other measures only.
    pub points: u64,
    /// The points per award if the proof names one of these difficulties.
    pub points_by_difficulty: BTreeMap<String, u64>,
    /// The lifetime of an anti-spam token; `None`: `tokens.anti_spam_seconds`.
    pub token_seconds: Option<u64>,
    /// How the action is proved.
    pub proof: Proof,
    /// The APIs in which it can be redeemed.
    pub flows: Vec<Flow>,
    /// Its limits per user.
    pub limits: Limits,
    /// When the response to an award is sent.
    pub acknowledge: AckPolicy,
}

impl Action {
    /// The points for a difficulty. Without one, or for one that the catalogue does not name, `points`.
    pub fn worth(&self, difficulty: Option<&str>) -> u64 {
        difficulty.and_then(|name| self.points_by_difficulty.get(name)).copied().unwrap_or(self.points)
    }

    /// The most points that an award can give.
    pub fn most_points(&self) -> u64 {
        self.points_by_difficulty.values().copied().fold(self.points, u64::max)
    }

    /// All point values that an award can give, in ascending order.
    pub fn possible_points(&self) -> Vec<u64> {
        let points = self.points_by_difficulty.values().copied().chain([self.points]);
        points.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// True if the action can be redeemed in this API.
    pub fn is_open(&self, flow: Flow) -> bool {
        self.flows.contains(&flow)
    }
}

/// All actions, in the order of the file.
#[derive(Clone)]
pub struct Catalogue {
    actions: Vec<Action>,
    rings: Vec<Arc<KeyRing>>,
}

/// All problems of a catalogue, each with its line.
#[derive(Debug, thiserror::Error)]
#[error("{}", list("the action catalogue", .0))]
pub struct CatalogueProblems(pub Vec<String>);

impl Catalogue {
    /// Reads a catalogue file, or the built-in catalogue if the name is empty.
    ///
    /// # Errors
    /// All problems of the file.
    pub fn load(file: &str) -> Result<Self, CatalogueProblems> {
        let folder = Path::new(file).parent().unwrap_or(Path::new(""));
        let parse = |text: &str| Self::parse(text, folder).map_err(|CatalogueProblems(problems)| problems);
        fields::load(file, BUILT_IN, parse).map_err(CatalogueProblems)
    }

    /// Parses a catalogue. Paths of key files are relative to `folder`.
    ///
    /// # Errors
    /// All problems of the text.
    pub fn parse(text: &str, folder: &Path) -> Result<Self, CatalogueProblems> {
        let read = fields::parse(text, |file| read_all(file, folder));
        let (actions, sources) = read.map_err(CatalogueProblems)?;
        Ok(Self { actions, rings: sources.rings.into_values().flatten().collect() })
    }

    /// Finds an action by its type, if it can be redeemed in this API.
    pub fn find(&self, kind: &str, flow: Flow) -> Option<&Action> {
        self.actions.iter().find(|action| action.kind == kind && action.is_open(flow))
    }

    /// The key rings, whose files are watched for changes.
    pub fn rings(&self) -> impl Iterator<Item = Arc<KeyRing>> {
        self.rings.iter().cloned()
    }

    /// All actions.
    pub fn all(&self) -> &[Action] {
        &self.actions
    }
}

/// Reads all valid actions of a file and reports the problems of the others.
fn read_all(mut file: Fields<'_>, folder: &Path) -> (Vec<Action>, Sources) {
    let sources = read_sources(&mut file, folder);
    let entries = file.tables("action", "", |place, entry| match entry.text_of("type") {
        Some(kind) => format!("action {kind}"),
        None => format!("action {place}"),
    });
    file.check(!entries.is_empty(), "must have at least one [[action]]");
    file.reject_unknown();
    for key in ["type", "number"] {
        fields::check_unique(&entries, key);
    }
    (entries.into_iter().filter_map(|entry| read_action(entry, &sources)).collect(), sources)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The problems of an invalid catalogue.
    pub fn problems(text: &str) -> Vec<String> {
        match Catalogue::parse(text, Path::new("")) {
            Ok(_) => panic!("the catalogue should be refused"),
            Err(CatalogueProblems(problems)) => problems,
        }
    }

    #[test]
    fn the_built_in_catalogue_has_the_specified_actions() {
        let catalogue = Catalogue::load("").unwrap();
        let worth: Vec<_> =
            catalogue.all().iter().take(4).map(|action| (action.kind.as_str(), action.points)).collect();
        assert_eq!(
            worth,
            [("watch_ad", 10), ("solve_puzzle", 15), ("complete_level", 20), ("daily_bonus", 5)]
        );
        assert_eq!(catalogue.find("daily_bonus", Flow::Game).unwrap().limits.cap_per_day, 1);
        assert!(catalogue.find("demo_quiz", Flow::Actions).is_some());
        assert!(catalogue.find("demo_quiz", Flow::Game).is_none());
    }

    #[test]
    fn an_impossible_proof_is_refused() {
        let text = "[[action]]\ntype = \"a\"\nnumber = 1\npoints = 1\n\
                    proof = { kind = \"elapsed\", min_ms = 30, max_ms = 30 }\n";
        assert_eq!(problems(text).len(), 1);
    }
}
