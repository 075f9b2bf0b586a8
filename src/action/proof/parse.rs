//! Reads the `proof` table of an action from the catalogue file.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::quiz::Question;
use super::webhook::{self, Webhook, WebhookConfig};
use super::{Check, Hashcash, Proof};
use crate::config::did_you_mean;
use crate::config::fields::Fields;
use crate::keyring::KeyRing;

const KINDS: [&str; 8] = ["none", "elapsed", "quiz", "hashcash", "signed", "webhook", "admob", "all"];

/// The question banks and key rings that proofs refer to by name.
#[derive(Default)]
pub struct Sources {
    /// Question banks.
    pub banks: BTreeMap<String, Vec<Question>>,
    /// Key rings; `None` for an invalid one, whose problem was already reported.
    pub rings: BTreeMap<String, Option<Arc<KeyRing>>>,
}

/// Reads a proof; `None` if it is invalid, which is reported.
pub fn read_proof(mut fields: Fields<'_>, sources: &Sources) -> Option<Proof> {
    let kind: String = fields.required("kind")?;
    let checks = match kind.as_str() {
        "none" => {
            fields.reject_unknown();
            return Some(Proof::default());
        }
        "all" => {
            let name = fields.name().to_owned();
            let parts = fields.tables("of", "proof.", |_, _| name.clone());
            let count = parts.len();
            let kinds: Vec<_> = parts.iter().filter_map(|part| part.text_of("kind")).collect();
            let is_single = |kind: &String| ["none", "all", "admob"].contains(&kind.as_str());
            fields.check(
                count >= 2 && !kinds.iter().any(is_single),
                "proof.of must list two or more kinds, and none of \"none\", \"all\" and \"admob\"",
            );
            // All checks share one challenge object and one proof object, so no kind may appear twice.
            for (place, kind) in kinds.iter().enumerate() {
                if kinds[..place].contains(kind) {
                    fields.report(format!("proof.of has {kind} twice"));
                }
            }
            fields.reject_unknown();
            let read = |mut part: Fields<'_>| {
                let kind: String = part.required("kind")?;
                read_check(&kind, part, sources)
            };
            parts.into_iter().filter_map(read).collect()
        }
        one => vec![read_check(one, fields, sources)?],
    };
    Some(Proof::new(checks))
}

/// Reads one check with the fields of its kind.
fn read_check(kind: &str, mut fields: Fields<'_>, sources: &Sources) -> Option<Check> {
    let check = match kind {
        "elapsed" => elapsed(&mut fields),
        "quiz" => quiz(&mut fields, sources),
        "hashcash" => hashcash(&mut fields),
        "signed" => signed(&mut fields, sources),
        "webhook" => webhook(&mut fields),
        "admob" => Some(Check::AdMob(fields.list("ad_units").unwrap_or_default())),
        "none" | "all" => return None,
        _ => {
            let meant = did_you_mean(kind, KINDS);
            fields.report(format!("proof.kind {kind:?} is unknown; use one of {}{meant}", KINDS.join(", ")));
            return None;
        }
    };
    fields.reject_unknown();
    check
}

fn elapsed(fields: &mut Fields<'_>) -> Option<Check> {
    let (min_ms, max_ms) = (fields.required("min_ms"), fields.optional("max_ms").unwrap_or(0));
    let min_ms = min_ms?;
    fields.check(max_ms == 0 || min_ms < max_ms, "proof.min_ms must be below proof.max_ms");
    Some(Check::Elapsed { min_ms, max_ms })
}

fn quiz(fields: &mut Fields<'_>, sources: &Sources) -> Option<Check> {
    let bank: String = fields.required("bank")?;
    match sources.banks.get(&bank) {
        Some(questions) => {
            fields.check(!questions.is_empty(), &format!("proof.bank: the bank {bank} has no questions"));
            Some(Check::Quiz(questions.clone()))
        }
        None => {
            let meant = did_you_mean(&bank, sources.banks.keys().map(String::as_str));
            fields.report(format!("proof.bank: the bank {bank} does not exist{meant}"));
            None
        }
    }
}

fn signed(fields: &mut Fields<'_>, sources: &Sources) -> Option<Check> {
    let keys: String = fields.required("keys")?;
    match sources.rings.get(&keys) {
        Some(ring) => ring.clone().map(Check::Signed),
        None => {
            let meant = did_you_mean(&keys, sources.rings.keys().map(String::as_str));
            fields.report(format!("proof.keys: there is no [keys.{keys}]{meant}"));
            None
        }
    }
}

fn hashcash(fields: &mut Fields<'_>) -> Option<Check> {
    let (bits, max_bits) = (fields.required("bits").unwrap_or(1), fields.optional("max_bits"));
    let (pace, per_ip) = (fields.optional("pace_per_minute"), fields.optional("pace_per_minute_per_ip"));
    match Hashcash::new(bits, max_bits, pace, per_ip) {
        Ok(work) => Some(Check::Hashcash(work)),
        Err(problems) => {
            problems.into_iter().for_each(|problem| fields.report(problem));
            None
        }
    }
}

fn webhook(fields: &mut Fields<'_>) -> Option<Check> {
    let (url, secret) = (fields.required("url"), fields.required("secret"));
    let config = WebhookConfig {
        timeout_ms: fields.optional("timeout_ms").unwrap_or(webhook::TIMEOUT_MS),
        max_in_flight: fields.optional("max_in_flight").unwrap_or(webhook::MAX_IN_FLIGHT),
        opens_after: fields.optional("opens_after").unwrap_or(webhook::OPENS_AFTER),
        open_ms: fields.optional("open_ms").unwrap_or(webhook::OPEN_MS),
        url: url?,
        secret: secret?,
    };
    match Webhook::new(&config) {
        Ok(hook) => Some(Check::Webhook(Arc::new(hook))),
        Err(problems) => {
            problems.into_iter().for_each(|problem| fields.report(problem));
            None
        }
    }
}
