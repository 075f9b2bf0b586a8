//! A proof as it stands in the catalogue's file.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::quiz::Question;
use super::webhook::{self, Webhook, WebhookConfig};
use super::{Check, Hashcash, Proof};
use crate::action::fields::Fields;
use crate::config::did_you_mean;
use crate::keys::KeyRing;

const KINDS: [&str; 8] = ["none", "elapsed", "quiz", "hashcash", "signed", "webhook", "admob", "all"];

/// What proofs draw from, by name.
#[derive(Default)]
pub struct Sources {
    /// Banks of questions.
    pub banks: BTreeMap<String, Vec<Question>>,
    /// Rings of keys; none where something is wrong with them, which was noted.
    pub rings: BTreeMap<String, Option<Arc<KeyRing>>>,
}

/// Reads a proof, unless something is wrong with it.
pub fn read_proof(mut fields: Fields<'_>, sources: &Sources) -> Option<Proof> {
    let kind: String = fields.need("kind")?;
    let checks = match kind.as_str() {
        "none" => {
            fields.finish();
            return Some(Proof::default());
        }
        "all" => {
            let name = fields.name().to_owned();
            let parts = fields.tables("of", "proof.", |_, _| name.clone());
            let count = parts.len();
            let kinds: Vec<_> = parts.iter().filter_map(|part| part.shown("kind")).collect();
            let alone = |kind: &String| ["none", "all", "admob"].contains(&kind.as_str());
            fields.require(
                count >= 2 && !kinds.iter().any(alone),
                "proof.of must be two or more kinds, none of them \"none\", \"all\" or \"admob\"",
            );
            // Their fields in challenge and proof stand side by side.
            for (place, kind) in kinds.iter().enumerate() {
                if kinds[..place].contains(kind) {
                    fields.note(format!("proof.of has {kind} twice"));
                }
            }
            fields.finish();
            let read = |mut part: Fields<'_>| {
                let kind: String = part.need("kind")?;
                read_check(&kind, part, sources)
            };
            parts.into_iter().filter_map(read).collect()
        }
        one => vec![read_check(one, fields, sources)?],
    };
    Some(Proof::of(checks))
}

/// One check with the fields of its kind.
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
            fields.note(format!("proof.kind {kind:?} is none of {}{meant}", KINDS.join(", ")));
            return None;
        }
    };
    fields.finish();
    check
}

fn elapsed(fields: &mut Fields<'_>) -> Option<Check> {
    let (min_ms, max_ms) = (fields.need("min_ms"), fields.take("max_ms").unwrap_or(0));
    let min_ms = min_ms?;
    fields.require(max_ms == 0 || min_ms < max_ms, "proof.min_ms must be below proof.max_ms");
    Some(Check::Elapsed { min_ms, max_ms })
}

fn quiz(fields: &mut Fields<'_>, sources: &Sources) -> Option<Check> {
    let bank: String = fields.need("bank")?;
    match sources.banks.get(&bank) {
        Some(questions) => {
            fields.require(!questions.is_empty(), &format!("proof.bank: the bank {bank} has no questions"));
            Some(Check::Quiz(questions.clone()))
        }
        None => {
            let meant = did_you_mean(&bank, sources.banks.keys().map(String::as_str));
            fields.note(format!("proof.bank: there is no bank {bank}{meant}"));
            None
        }
    }
}

fn signed(fields: &mut Fields<'_>, sources: &Sources) -> Option<Check> {
    let keys: String = fields.need("keys")?;
    match sources.rings.get(&keys) {
        Some(ring) => ring.clone().map(Check::Signed),
        None => {
            let meant = did_you_mean(&keys, sources.rings.keys().map(String::as_str));
            fields.note(format!("proof.keys: there are no keys {keys}{meant}"));
            None
        }
    }
}

fn hashcash(fields: &mut Fields<'_>) -> Option<Check> {
    let (bits, max_bits) = (fields.need("bits").unwrap_or(1), fields.take("max_bits"));
    let (pace, per_ip) = (fields.take("pace_per_minute"), fields.take("pace_per_minute_per_ip"));
    match Hashcash::new(bits, max_bits, pace, per_ip) {
        Ok(work) => Some(Check::Hashcash(work)),
        Err(problems) => {
            problems.into_iter().for_each(|problem| fields.note(problem));
            None
        }
    }
}

fn webhook(fields: &mut Fields<'_>) -> Option<Check> {
    let (url, secret) = (fields.need("url"), fields.need("secret"));
    let config = WebhookConfig {
        timeout_ms: fields.take("timeout_ms").unwrap_or(webhook::TIMEOUT_MS),
        max_in_flight: fields.take("max_in_flight").unwrap_or(webhook::MAX_IN_FLIGHT),
        opens_after: fields.take("opens_after").unwrap_or(webhook::OPENS_AFTER),
        open_ms: fields.take("open_ms").unwrap_or(webhook::OPEN_MS),
        url: url?,
        secret: secret?,
    };
    match Webhook::new(&config) {
        Ok(hook) => Some(Check::Webhook(Arc::new(hook))),
        Err(problems) => {
            problems.into_iter().for_each(|problem| fields.note(problem));
            None
        }
    }
}
