//! The one catalogue of actions behind all doors.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::proof::{Proof, ProofConfig, Question};

/// The catalogue that ships.
const SHIPPED: &str = include_str!("actions.toml");

/// Doubles, and so scores and points, are exact to here.
const MAX_POINTS: u64 = (1 << 53) - 1;

const YEAR_MS: u64 = 365 * 86_400_000;

/// Where an action can be redeemed (contract, section 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Door {
    /// `/api/v1/actions/*`
    Actions,
    /// `/api/v1/action-tokens`, `/api/v1/scores`
    Tokens,
    /// `/api/game/*`, `/api/score/update`
    Game,
}

/// An action's own limits per user; 0 is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Least time between two awards.
    pub cooldown_ms: u64,
    /// Awards in a UTC day.
    pub cap_per_day: u64,
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
    /// What has to be shown.
    pub proof: Proof,
    /// Where it is open.
    pub doors: Vec<Door>,
    /// Its own limits.
    pub limits: Limits,
}

/// All actions, in their order in the file.
#[derive(Clone, Debug)]
pub struct Catalogue {
    actions: Vec<Action>,
}

/// Everything that is wrong with a catalogue, a line each.
#[derive(Debug, thiserror::Error)]
#[error("the action catalogue has {} problem(s):\n{}", .0.len(), .0.iter().map(|it| format!("  - {it}")).collect::<Vec<_>>().join("\n"))]
pub struct CatalogueProblems(pub Vec<String>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ActionConfig {
    #[serde(rename = "type")]
    kind: String,
    number: u32,
    points: u64,
    proof: ProofConfig,
    #[serde(default = "all_doors")]
    doors: Vec<Door>,
    #[serde(default)]
    cooldown_ms: u64,
    #[serde(default)]
    cap_per_day: u64,
}

fn all_doors() -> Vec<Door> {
    vec![Door::Actions, Door::Tokens, Door::Game]
}

type Banks = BTreeMap<String, Vec<Question>>;

impl Catalogue {
    /// Reads the file, or the catalogue that ships if the name is empty.
    ///
    /// # Errors
    /// Every problem at once.
    pub fn load(file: &str) -> Result<Self, CatalogueProblems> {
        if file.is_empty() {
            return Self::parse(SHIPPED);
        }
        let text = std::fs::read_to_string(Path::new(file))
            .map_err(|error| CatalogueProblems(vec![format!("cannot read {file}: {error}")]))?;
        Self::parse(&text)
    }

    /// Reads a catalogue's text.
    ///
    /// # Errors
    /// Every problem at once.
    pub fn parse(text: &str) -> Result<Self, CatalogueProblems> {
        let mut table: Table =
            text.parse().map_err(|error| CatalogueProblems(vec![format!("it is not TOML: {error}")]))?;
        let mut problems = Vec::new();
        let banks = read_banks(table.remove("banks"), &mut problems);
        let entries = match table.remove("action") {
            Some(Value::Array(entries)) => entries,
            _ => Vec::new(),
        };
        if entries.is_empty() {
            problems.push("it has no [[action]]".to_owned());
        }
        problems.extend(table.keys().map(|key| format!("{key}: unknown")));
        let mut actions: Vec<Action> = Vec::new();
        for (place, entry) in entries.into_iter().enumerate() {
            match read_action(entry, &banks) {
                Ok(action) => actions.push(action),
                Err(found) => {
                    problems.extend(found.into_iter().map(|it| format!("action {}: {it}", place + 1)))
                }
            }
        }
        find_doubles(&actions, &mut problems);
        if problems.is_empty() { Ok(Self { actions }) } else { Err(CatalogueProblems(problems)) }
    }

    /// An action by its type, if it is open at this door.
    pub fn find(&self, kind: &str, door: Door) -> Option<&Action> {
        self.actions.iter().find(|it| it.kind == kind && it.doors.contains(&door))
    }

    /// All of them.
    pub fn all(&self) -> &[Action] {
        &self.actions
    }
}

fn read_banks(value: Option<Value>, problems: &mut Vec<String>) -> Banks {
    let Some(value) = value else { return Banks::new() };
    let banks: Banks = match value.try_into() {
        Ok(banks) => banks,
        Err(error) => {
            problems.push(format!("banks: {}", one_line(&error)));
            return Banks::new();
        }
    };
    for (name, questions) in &banks {
        for question in questions {
            if let Err(problem) = question.check() {
                problems.push(format!("bank {name}: {problem}"));
            }
        }
    }
    banks
}

fn read_action(entry: Value, banks: &Banks) -> Result<Action, Vec<String>> {
    let name = entry.get("type").and_then(Value::as_str).unwrap_or("?").to_owned();
    let config: ActionConfig =
        entry.try_into().map_err(|error| vec![format!("({name}) {}", one_line(&error))])?;
    let mut problems = Vec::new();
    let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if !(1..=50).contains(&name.len()) || !name.bytes().all(word) {
        problems.push(format!("({name}) type must be 1 to 50 of a-z, 0-9 and _"));
    }
    if !(1..=MAX_POINTS).contains(&config.points) {
        problems.push(format!("({name}) points must be between 1 and 2^53 - 1"));
    }
    if config.cooldown_ms > YEAR_MS {
        problems.push(format!("({name}) cooldown_ms must be at most a year"));
    }
    if config.doors.is_empty() {
        problems.push(format!("({name}) doors must name at least one"));
    }
    let proof = config.proof.read(banks);
    if config.doors.contains(&Door::Game) && proof.as_ref().is_ok_and(Proof::asks) {
        problems
            .push(format!("({name}) doors: the game door has no way to ask a question; leave \"game\" out"));
    }
    match proof {
        Ok(proof) if problems.is_empty() => Ok(Action {
            kind: config.kind,
            number: config.number,
            points: config.points,
            proof,
            doors: config.doors,
            limits: Limits { cooldown_ms: config.cooldown_ms, cap_per_day: config.cap_per_day },
        }),
        Ok(_) => Err(problems),
        Err(problem) => {
            problems.push(format!("({name}) {problem}"));
            Err(problems)
        }
    }
}

fn find_doubles(actions: &[Action], problems: &mut Vec<String>) {
    let (mut kinds, mut numbers) = (HashSet::new(), HashSet::new());
    for action in actions {
        if !kinds.insert(&action.kind) {
            problems.push(format!("type {} is there twice", action.kind));
        }
        if !numbers.insert(action.number) {
            problems.push(format!("number {} is there twice ({})", action.number, action.kind));
        }
    }
}

fn one_line(error: &toml::de::Error) -> String {
    error.message().replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        Catalogue::parse(text).expect_err("the catalogue should be refused").0
    }

    #[test]
    fn the_shipped_catalogue_is_the_contracts() {
        let catalogue = Catalogue::load("").unwrap();
        let worth: Vec<_> = catalogue.all().iter().take(4).map(|it| (it.kind.as_str(), it.points)).collect();
        assert_eq!(
            worth,
            [("watch_ad", 10), ("solve_puzzle", 15), ("complete_level", 20), ("daily_bonus", 5)]
        );
        assert_eq!(catalogue.find("daily_bonus", Door::Game).unwrap().limits.cap_per_day, 1);
        assert!(catalogue.find("demo_quiz", Door::Actions).is_some());
        assert!(catalogue.find("demo_quiz", Door::Game).is_none());
    }

    #[test]
    fn every_problem_is_named_at_once() {
        let found = problems(
            r#"
            [[action]]
            type = "a"
            number = 1
            points = 0
            proof = { kind = "none" }
            [[action]]
            type = "b"
            number = 2
            points = 1
            proof = { kind = "crystal_ball" }
            [[action]]
            type = "c"
            number = 3
            points = 1
            proof = { kind = "quiz", bank = "nowhere" }
            [[action]]
            type = "d"
            number = 4
            points = 1
            proof = { kind = "none" }
            [[action]]
            type = "d"
            number = 4
            points = 1
            proof = { kind = "none" }
            colour = "red"
            "#,
        );
        let expected = ["(a) points", "crystal_ball", "no bank nowhere", "colour"];
        for part in expected {
            assert!(found.iter().any(|it| it.contains(part)), "{part} is missing in {found:#?}");
        }
    }

    #[test]
    fn doubles_are_refused() {
        let one = "[[action]]\ntype = \"a\"\nnumber = 1\npoints = 1\nproof = { kind = \"none\" }\n";
        assert_eq!(problems(&one.repeat(2)).len(), 2);
    }

    #[test]
    fn a_proof_that_nobody_can_give_is_refused() {
        let text = "[[action]]\ntype = \"a\"\nnumber = 1\npoints = 1\n\
                    proof = { kind = \"elapsed\", least_ms = 30, most_ms = 30 }\n";
        assert_eq!(problems(text).len(), 1);
    }
}
