//! Reads the entries of the catalogue file.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::limits::read_open_hours;
use super::proof::quiz::Question;
use super::proof::{Proof, Sources, read_proof, signed};
use super::{Action, Flow, Limits};
use crate::config::fields::Fields;
use crate::keyring::{KeyFile, KeyRing};

/// The largest integer that a double, and so a Redis score, represents exactly.
const MAX_POINTS: u64 = (1 << 53) - 1;

const YEAR_MS: u64 = 365 * 86_400_000;

/// Reads the question banks and key rings. Paths of key files are relative to `folder`.
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
        question: fields.required("question").unwrap_or_default(),
        choices: fields.list("choices").unwrap_or_default(),
        answer: fields.required("answer").unwrap_or_default(),
        difficulty: fields.optional("difficulty"),
    };
    let problem = question.check().err();
    if let Some(problem) = &problem {
        fields.report(problem);
    }
    fields.reject_unknown();
    problem.is_none().then_some(question)
}

fn read_keys(mut fields: Fields<'_>, name: &str, folder: &Path) -> Option<Arc<KeyRing>> {
    let (jwks, pem) = (fields.optional("jwks_file"), fields.optional("public_key_file"));
    let file = KeyFile::from_settings(folder, jwks, pem, fields.optional("algorithm"));
    let ring = file.and_then(|file| KeyRing::open(name.to_owned(), file, signed::ALGORITHMS));
    let ring = ring.map_err(|problem| fields.report(problem)).ok();
    fields.reject_unknown();
    ring.map(Arc::new)
}

/// Reads an action; `None` if it is invalid, which is reported.
pub fn read_action(mut fields: Fields<'_>, sources: &Sources) -> Option<Action> {
    let kind: Option<String> = fields.required("type");
    let number = fields.required("number");
    let points: Option<u64> = fields.required("points");
    let cooldown_ms = fields.optional("cooldown_ms").unwrap_or(0);
    let flows = fields.list("flows").unwrap_or_else(|| vec![Flow::Actions, Flow::Tokens, Flow::Game]);
    let points_by_difficulty: BTreeMap<String, u64> =
        fields.optional("points_by_difficulty").unwrap_or_default();
    let token_seconds: Option<u64> = fields.optional("token_seconds");
    let open_hours: String = fields.optional("open_hours").unwrap_or_default();
    let acknowledge = fields.optional("acknowledge").unwrap_or_default();
    let limits = Limits {
        cooldown_ms,
        cap_per_hour: fields.optional("cap_per_hour").unwrap_or(0),
        cap_per_day: fields.optional("cap_per_day").unwrap_or(0),
        ..read_hours(&fields, &open_hours)
    };
    let proof = fields.required_table("proof", "proof.").and_then(|proof| read_proof(proof, sources));

    let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let is_kind = |kind: &String| (1..=50).contains(&kind.len()) && kind.bytes().all(is_allowed);
    let in_range = |points: &u64| *points <= MAX_POINTS;
    let is_lifetime = |seconds: &u64| (1..=86_400).contains(seconds);
    let has_challenge = proof.as_ref().is_some_and(Proof::has_challenge);
    let needs_callback = proof.as_ref().is_some_and(Proof::needs_callback);
    for (is_valid, problem) in [
        (kind.as_ref().is_none_or(is_kind), "type must be 1 to 50 characters: a-z, 0-9 or _"),
        (points.as_ref().is_none_or(in_range), "points must be between 0 and 2^53 - 1"),
        (cooldown_ms <= YEAR_MS, "cooldown_ms must be at most 31536000000 (a year)"),
        (!flows.is_empty(), "flows must name at least one"),
        (
            points_by_difficulty.values().all(in_range),
            "points_by_difficulty must be between 0 and 2^53 - 1 each",
        ),
        (token_seconds.as_ref().is_none_or(is_lifetime), "token_seconds must be between 1 and 86400"),
        (
            !(has_challenge && flows.contains(&Flow::Game)),
            "flows: the game API has no challenges. Leave \"game\" out",
        ),
        (!needs_callback || flows == [Flow::Actions], "flows must be [\"actions\"] for a proof by callback"),
    ] {
        fields.check(is_valid, problem);
    }
    fields.reject_unknown();
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
            fields.report(problem);
            Limits::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::action::catalogue::tests::problems;
    use crate::config::fields::assert_problems;

    #[test]
    fn all_problems_are_reported_with_lines_and_suggestions() {
        let text = r#"
            colour = "red" # colour: unknown
            [[action]]
            type = "a"
            number = "1" # action a: number must be a whole number
            points = 9007199254740992 # action a: points must be between
            proof = { kind = "crystal_ball" } # action a: proof.kind "crystal_ball" is unknown; use one of none, elapsed,
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
            proof = { kind = "quiz", bank = "capital" } # the bank capital does not exist; did you mean capitals?
            [[action]]
            type = "d" # type d is already used in line 23
            number = 4 # number 4 is already used in line 24
            points = 1
            proof = { kind = "signed", keys = "gmae" } # there is no [keys.gmae]; did you mean game?
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
            [keys.ads] # keys ads: set either jwks_file
            [[banks.capitals]] # bank capitals: question 1: the answer
            question = "q"
            choices = ["a", "b"]
            answer = "c"
            [[bank.capitals]] # bank: unknown; did you mean banks?
            question = "q"
            "#;
        assert_problems(text, &problems(text));
    }

    #[test]
    fn problems_never_contain_values() {
        for value in ["\"hunter2\"", "hunter2", "[\"hunter2\"]", "{ a = \"hunter2\" }"] {
            for field in ["number", "points", "cooldown_ms", "open", "token_seconds", "acknowledge", "proof"]
            {
                let found = problems(&format!("[[action]]\n{field} = {value}\n"));
                assert!(!found.concat().contains("hunter2"), "{field} = {value}: {found:?}");
            }
        }
    }

    #[test]
    fn toml_errors_are_reported_with_their_lines() {
        let found = problems("[[action]]\ntype = a\nnumber = 1\npoints = \nnumber = 2\n");
        assert_eq!(found.len(), 3, "{found:#?}");
        for (problem, line) in found.iter().zip([2, 4, 5]) {
            assert!(problem.starts_with(&format!("line {line}: not TOML")), "{found:#?}");
        }
    }
}
