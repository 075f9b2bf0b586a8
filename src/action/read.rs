//! The catalogue's file, entry by entry.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::limits::read_open_hours;
use super::proof::quiz::Question;
use super::proof::{Proof, ProofConfig, Sources, signed};
use super::{Acknowledge, Action, Door, Limits};
use crate::config::one_line;
use crate::keys::{Algorithm, KeyFile, KeyRing};

/// Doubles, and so scores and points, are exact to here.
const MAX_POINTS: u64 = (1 << 53) - 1;

const YEAR_MS: u64 = 365 * 86_400_000;

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
    cap_per_hour: u64,
    #[serde(default)]
    cap_per_day: u64,
    #[serde(default)]
    open_hours: String,
    #[serde(default)]
    points_by_difficulty: BTreeMap<String, u64>,
    #[serde(default)]
    token_seconds: Option<u64>,
    #[serde(default)]
    acknowledge: Acknowledge,
}

impl ActionConfig {
    fn limits(&self) -> Result<Limits, String> {
        let (opens_at_ms, open_for_ms) = match self.open_hours.as_str() {
            "" => (0, 0),
            hours => read_open_hours(hours)?,
        };
        Ok(Limits {
            cooldown_ms: self.cooldown_ms,
            cap_per_hour: self.cap_per_hour,
            cap_per_day: self.cap_per_day,
            opens_at_ms,
            open_for_ms,
            span_ms: 0,
        })
    }
}

fn all_doors() -> Vec<Door> {
    vec![Door::Actions, Door::Tokens, Door::Game]
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeysConfig {
    jwks_file: Option<String>,
    public_key_file: Option<String>,
    algorithm: Option<Algorithm>,
}

/// What the proofs draw from, taken out of the file's table; what is wrong with it goes to `problems`. Files that it names lie
/// beside it.
pub fn read_sources(table: &mut Table, folder: &Path, problems: &mut Vec<String>) -> Sources {
    let banks: BTreeMap<String, Vec<Question>> = read_table(table, "banks", problems);
    for (name, question) in banks.iter().flat_map(|(name, it)| it.iter().map(move |it| (name, it))) {
        if let Err(problem) = question.check() {
            problems.push(format!("bank {name}: {problem}"));
        }
    }
    let mut rings = BTreeMap::new();
    for (name, it) in read_table::<KeysConfig>(table, "keys", problems) {
        let file = KeyFile::named(folder, it.jwks_file, it.public_key_file, it.algorithm);
        match file.and_then(|file| KeyRing::open(name.clone(), file, signed::ALGORITHMS)) {
            Ok(ring) => drop(rings.insert(name, Arc::new(ring))),
            Err(problem) => problems.push(format!("keys {name}: {problem}")),
        }
    }
    Sources { banks, rings }
}

fn read_table<T: DeserializeOwned>(
    table: &mut Table,
    name: &str,
    problems: &mut Vec<String>,
) -> BTreeMap<String, T> {
    let Some(value) = table.remove(name) else { return BTreeMap::new() };
    value.try_into().unwrap_or_else(|error| {
        problems.push(format!("{name}: {}", one_line(&error)));
        BTreeMap::new()
    })
}

/// One entry.
///
/// # Errors
/// Everything that is wrong with it.
pub fn read_action(entry: Value, sources: &Sources) -> Result<Action, Vec<String>> {
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
    if config.points_by_difficulty.values().any(|it| !(1..=MAX_POINTS).contains(it)) {
        problems.push(format!("({name}) points_by_difficulty must be between 1 and 2^53 - 1 each"));
    }
    if config.token_seconds.is_some_and(|it| !(1..=86_400).contains(&it)) {
        problems.push(format!("({name}) token_seconds must be between 1 and 86400"));
    }
    let limits =
        config.limits().map_err(|problem| problems.push(format!("({name}) {problem}"))).unwrap_or_default();
    let proof = config.proof.read(sources);
    if config.doors.contains(&Door::Game) && proof.as_ref().is_ok_and(Proof::asks) {
        problems
            .push(format!("({name}) doors: the game door has no way to ask a question; leave \"game\" out"));
    }
    if config.doors != [Door::Actions] && proof.as_ref().is_ok_and(Proof::comes_by_callback) {
        problems.push(format!("({name}) doors must be [\"actions\"]: the callback comes there"));
    }
    match proof {
        Ok(proof) if problems.is_empty() => Ok(Action {
            kind: config.kind,
            number: config.number,
            points: config.points,
            points_by_difficulty: config.points_by_difficulty,
            token_seconds: config.token_seconds,
            limits: Limits { span_ms: proof.span_ms(), ..limits },
            proof,
            doors: config.doors,
            acknowledge: config.acknowledge,
        }),
        Ok(_) => Err(problems),
        Err(problem) => {
            problems.push(format!("({name}) {problem}"));
            Err(problems)
        }
    }
}
