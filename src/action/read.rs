//! The catalogue's file, entry by entry.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::fields::Fields;
use super::limits::read_open_hours;
use super::proof::quiz::Question;
use super::proof::{Proof, Sources, read_proof, signed};
use super::{Action, Flow, Limits};
use crate::keys::{KeyFile, KeyRing};

/// Doubles, and so scores and points, are exact to here.
const MAX_POINTS: u64 = (1 << 53) - 1;

const YEAR_MS: u64 = 365 * 86_400_000;

/// What the proofs draw from. Files that it names lie beside the catalogue's.
pub fn read_sources(file: &mut Fields<'_>, folder: &Path) -> Sources {
    let mut sources = Sources::default();
    if let Some(mut banks) = file.table("banks", "banks", "") {
        for name in banks.names() {
            let questions = banks.tables(&name, "", |place, _| format!("bank {name}: question {place}"));
            let questions = questions.into_iter().filter_map(read_question).collect();
            sources.banks.insert(name, questions);
        }
    }
    if let Some(mut keys) = file.table("keys", "keys", "") {
        for name in keys.names() {
            let fields = keys.table(&name, &format!("keys {name}"), "");
            let ring = fields.and_then(|fields| read_keys(fields, &name, folder));
            sources.rings.insert(name, ring);
        }
    }
    sources
}

fn read_question(mut fields: Fields<'_>) -> Option<Question> {
    let question = Question {
        question: fields.need("question").unwrap_or_default(),
        choices: fields.list("choices").unwrap_or_default(),
        answer: fields.need("answer").unwrap_or_default(),
        difficulty: fields.take("difficulty"),
    };
    let problem = question.check().err();
    if let Some(problem) = &problem {
        fields.note(problem);
    }
    fields.finish();
    problem.is_none().then_some(question)
}

fn read_keys(mut fields: Fields<'_>, name: &str, folder: &Path) -> Option<Arc<KeyRing>> {
    let (jwks, pem) = (fields.take("jwks_file"), fields.take("public_key_file"));
    let file = KeyFile::named(folder, jwks, pem, fields.take("algorithm"));
    let ring = file.and_then(|file| KeyRing::open(name.to_owned(), file, signed::ALGORITHMS));
    let ring = ring.map_err(|problem| fields.note(problem)).ok();
    fields.finish();
    ring.map(Arc::new)
}

/// One entry, unless something is wrong with it.
pub fn read_action(mut fields: Fields<'_>, sources: &Sources) -> Option<Action> {
    let kind: Option<String> = fields.need("type");
    let number = fields.need("number");
    let points: Option<u64> = fields.need("points");
    let cooldown_ms = fields.take("cooldown_ms").unwrap_or(0);
    let flows = fields.list("flows").unwrap_or_else(|| vec![Flow::Actions, Flow::Tokens, Flow::Game]);
    let points_by_difficulty: BTreeMap<String, u64> = fields.take("points_by_difficulty").unwrap_or_default();
    let token_seconds: Option<u64> = fields.take("token_seconds");
    let open_hours: String = fields.take("open_hours").unwrap_or_default();
    let acknowledge = fields.take("acknowledge").unwrap_or_default();
    let limits = Limits {
        cooldown_ms,
        cap_per_hour: fields.take("cap_per_hour").unwrap_or(0),
        cap_per_day: fields.take("cap_per_day").unwrap_or(0),
        ..read_hours(&fields, &open_hours)
    };
    let proof = fields.need_table("proof", "proof.").and_then(|proof| read_proof(proof, sources));

    let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let named = |kind: &String| (1..=50).contains(&kind.len()) && kind.bytes().all(word);
    let worth = |points: &u64| (1..=MAX_POINTS).contains(points);
    let token = |seconds: &u64| (1..=86_400).contains(seconds);
    let asks = proof.as_ref().is_some_and(Proof::asks);
    let comes_by_callback = proof.as_ref().is_some_and(Proof::comes_by_callback);
    for (holds, problem) in [
        (kind.as_ref().is_none_or(named), "type must be 1 to 50 of a-z, 0-9 and _"),
        (points.as_ref().is_none_or(worth), "points must be between 1 and 2^53 - 1"),
        (cooldown_ms <= YEAR_MS, "cooldown_ms must be at most a year"),
        (!flows.is_empty(), "flows must name at least one"),
        (
            points_by_difficulty.values().all(worth),
            "points_by_difficulty must be between 1 and 2^53 - 1 each",
        ),
        (token_seconds.as_ref().is_none_or(token), "token_seconds must be between 1 and 86400"),
        (
            !(asks && flows.contains(&Flow::Game)),
            "flows: the game door has no way to ask a question; leave \"game\" out",
        ),
        (
            !comes_by_callback || flows == [Flow::Actions],
            "flows must be [\"actions\"]: the callback comes there",
        ),
    ] {
        fields.require(holds, problem);
    }
    fields.finish();
    let proof = proof?;
    Some(Action {
        kind: kind?,
        number: number?,
        points: points?,
        points_by_difficulty,
        token_seconds,
        limits: Limits { span_ms: proof.span_ms(), ..limits },
        proof,
        flows,
        acknowledge,
    })
}

fn read_hours(fields: &Fields<'_>, text: &str) -> Limits {
    if text.is_empty() {
        return Limits::default();
    }
    match read_open_hours(text) {
        Ok((opens_at_ms, open_for_ms)) => Limits { opens_at_ms, open_for_ms, ..Limits::default() },
        Err(problem) => {
            fields.note(problem);
            Limits::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::action::catalogue::tests::problems;

    /// Each line of a file that is wrong ends in a comment with what has to be said of it, and nothing else is said.
    #[track_caller]
    fn assert_told(text: &str) {
        let wanted: Vec<(usize, &str)> = text
            .lines()
            .enumerate()
            .filter_map(|(place, line)| Some((place + 1, line.split_once("# ")?.1)))
            .flat_map(|(line, told)| told.split(" & ").map(move |it| (line, it)))
            .collect();
        let found = problems(text);
        for (line, told) in &wanted {
            let fits = |it: &String| it.starts_with(&format!("line {line}: ")) && it.contains(told);
            assert!(found.iter().any(fits), "line {line}, {told:?} is missing in {found:#?}");
        }
        assert_eq!(found.len(), wanted.len(), "{found:#?}");
    }

    #[test]
    fn every_problem_is_told_at_once_with_its_line_and_what_was_meant() {
        assert_told(
            r#"
            colour = "red" # colour: unknown
            [[action]]
            type = "a"
            number = "1" # action a: number must be a whole number
            points = 0 # action a: points must be between
            proof = { kind = "crystal_ball" } # action a: proof.kind "crystal_ball" is none of none, elapsed,
            [[action]]
            type = "B" # action B: type must be
            number = 2
            points = -1 # action B: points must be a whole number
            proof = { kind = "quizz", bank = "x" } # did you mean quiz?
            flows = ["actions", "tokns", 1] # must be one of `actions`, `tokens`, `game`; did you mean tokens? & flows has a value of the wrong kind
            cooldown = 5 # action B: cooldown: unknown; did you mean cooldown_ms?
            [[action]] # action 3: type is missing & action 3: proof is missing
            number = 3
            points = 3
            flows = [] # flows must name
            open_hours = "9" # open_hours must be like
            token_seconds = 0 # token_seconds must be
            acknowledge = "legder" # did you mean ledger?
            [[action]]
            type = "d"
            number = 4
            points = 1
            proof = { kind = "quiz", bank = "capital" } # there is no bank capital; did you mean capitals?
            [[action]]
            type = "d" # type d is there already, in line 23
            number = 4 # number 4 is there already, in line 24
            points = 1
            proof = { kind = "signed", keys = "gmae" } # there are no keys gmae; did you mean game?
            [[action]]
            type = "f"
            number = 6
            points = 1
            proof = { kind = "webhook", url = "ftp://x", secret = 5, timeout_ms = "whsec_1" } # proof.secret must be a text in quotes & proof.timeout_ms must be a whole number
            [[action]]
            type = "g"
            number = 7
            points = 1
            [action.proof]
            kind = "hashcash"
            bits = 33 # proof.bits must be
            pace_per_minute = 0 # proof.pace_per_minute and
            max_bit = 3 # proof.max_bit: unknown; did you mean max_bits?
            [[action]]
            type = "h"
            number = 8
            points = 1
            proof = { kind = "all", of = [{ kind = "elapsed", min_ms = 2, max_ms = 1 }, { kind = "elapsed" }] } # elapsed twice & min_ms must be below & min_ms is missing
            [keys.game] # keys game: nowhere.json
            jwks_fil = "x" # keys game: jwks_fil: unknown; did you mean jwks_file?
            jwks_file = "nowhere.json"
            [keys.ads] # keys ads: must have either
            [[banks.capitals]] # bank capitals: question 1: the answer
            question = "q"
            choices = ["a", "b"]
            answer = "c"
            [[bank.capitals]] # bank: unknown; did you mean banks?
            question = "q"
            "#,
        );
    }

    #[test]
    fn no_problem_shows_a_value_that_may_be_a_secret() {
        for value in ["\"hunter2\"", "hunter2", "[\"hunter2\"]", "{ a = \"hunter2\" }"] {
            for field in ["number", "points", "cooldown_ms", "open", "token_seconds", "acknowledge", "proof"]
            {
                let found = problems(&format!("[[action]]\n{field} = {value}\n"));
                assert!(!found.concat().contains("hunter2"), "{field} = {value}: {found:?}");
            }
        }
    }

    #[test]
    fn what_is_no_toml_is_told_with_every_line() {
        let found = problems("[[action]]\ntype = a\nnumber = 1\npoints = \nnumber = 2\n");
        assert_eq!(found.len(), 3, "{found:#?}");
        for (problem, line) in found.iter().zip([2, 4, 5]) {
            assert!(problem.starts_with(&format!("line {line}: not TOML")), "{found:#?}");
        }
    }
}
