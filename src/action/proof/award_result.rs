//! What a proof established for boards besides its validity: a value, a subscore and tags.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::board::{is_tag_name, is_tag_value};

/// The claims of an attestation, and the fields of a webhook's response, that are read.
pub const NAMES: [&str; 3] = ["value", "subscore", "tags"];

/// The largest value and subscore: Redis' scores are exact up to here.
const MAX_NUMBER: u64 = (1 << 53) - 1;
const MAX_TAGS: usize = 16;

/// By what boards measure, split and filter an award, as far as its proof established it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AwardResult {
    /// True if the time that Redis measured is the value, in ms, where `value` is `None`.
    pub is_timed: bool,
    /// The value, up to 2^53 - 1.
    pub value: Option<u64>,
    /// What decides between equal values, up to 2^53 - 1.
    pub subscore: Option<u64>,
    /// At most 16 tags by name.
    pub tags: BTreeMap<String, String>,
}

impl AwardResult {
    /// Reads `value`, `subscore` and `tags`, each of which may be missing or null. `None` if one of them is invalid.
    pub fn read(fields: &Map<String, Value>) -> Option<Self> {
        let field = |name| fields.get(name).filter(|field| !field.is_null());
        let number = |name| match field(name) {
            None => Some(None),
            Some(field) => field.as_u64().filter(|number| *number <= MAX_NUMBER).map(Some),
        };
        let tags = match field("tags") {
            None => BTreeMap::new(),
            Some(field) => read_tags(field.as_object()?)?,
        };
        Some(Self { is_timed: false, value: number("value")?, subscore: number("subscore")?, tags })
    }

    /// Replaces what a later check of the same proof names.
    pub fn replace(&mut self, later: Self) {
        self.value = later.value.or(self.value);
        self.subscore = later.subscore.or(self.subscore);
        if !later.tags.is_empty() {
            self.tags = later.tags;
        }
    }

    /// The result as the outbox has it: JSON without spaces, or an empty text. A measured time is `?`; `lua/lib/proof.lua` fills it in.
    pub fn to_json(&self) -> String {
        let value = self.value.map(|value| value.to_string());
        let value = value.or_else(|| self.is_timed.then(|| "?".to_owned()));
        let tags = self.tags.iter().map(|(name, value)| format!(r#""{name}":"{value}""#));
        let tags = tags.collect::<Vec<_>>().join(",");
        let fields = [
            value.map(|value| format!(r#""value":{value}"#)),
            self.subscore.map(|subscore| format!(r#""subscore":{subscore}"#)),
            (!tags.is_empty()).then(|| format!(r#""tags":{{{tags}}}"#)),
        ];
        let fields: Vec<String> = fields.into_iter().flatten().collect();
        if fields.is_empty() { String::new() } else { format!("{{{}}}", fields.join(",")) }
    }
}

fn read_tags(tags: &Map<String, Value>) -> Option<BTreeMap<String, String>> {
    let read = |(name, value): (&String, &Value)| {
        let value = value.as_str().filter(|value| is_tag_name(name) && is_tag_value(value))?;
        Some((name.clone(), value.to_owned()))
    };
    if tags.len() > MAX_TAGS { None } else { tags.iter().map(read).collect() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(fields: Value) -> Option<AwardResult> {
        AwardResult::read(fields.as_object().unwrap())
    }

    #[test]
    fn every_field_has_its_bounds() {
        let tags = |count: usize| (0..count).map(|n| (format!("t_{n}"), "x".into())).collect::<Map<_, _>>();
        for (fields, expected) in [
            (json!({}), Some("")),
            (json!({ "value": null, "subscore": null, "tags": null, "points": 5 }), Some("")),
            (json!({ "value": 0, "tags": {} }), Some(r#"{"value":0}"#)),
            (
                json!({ "tags": { "mode": "Ranked-1.5_x", "country": "DE" }, "subscore": 7, "value": MAX_NUMBER }),
                Some(
                    r#"{"value":9007199254740991,"subscore":7,"tags":{"country":"DE","mode":"Ranked-1.5_x"}}"#,
                ),
            ),
            (json!({ "value": MAX_NUMBER + 1 }), None),
            (json!({ "value": -1 }), None),
            (json!({ "value": 1.5 }), None),
            (json!({ "value": "1" }), None),
            (json!({ "subscore": MAX_NUMBER + 1 }), None),
            (json!({ "subscore": [1] }), None),
            (json!({ "tags": tags(17) }), None),
            (json!({ "tags": ["mode"] }), None),
            (json!({ "tags": { "mode": 1 } }), None),
            (json!({ "tags": { "mode": "" } }), None),
            (json!({ "tags": { "mode": "a b" } }), None),
            (json!({ "tags": { "mode": "?" } }), None),
            (json!({ "tags": { "Mode": "a" } }), None),
            (json!({ "tags": { "": "a" } }), None),
            (json!({ "tags": { "mode": "a".repeat(41) } }), None),
        ] {
            assert_eq!(read(fields.clone()).map(|read| read.to_json()).as_deref(), expected, "{fields}");
        }
        assert_eq!(read(json!({ "tags": tags(16) })).unwrap().tags.len(), 16);
    }

    #[test]
    fn the_last_check_that_names_a_field_decides() {
        let mut result = AwardResult { is_timed: true, ..AwardResult::default() };
        assert_eq!(result.to_json(), r#"{"value":?}"#);
        result.replace(read(json!({ "subscore": 3, "tags": { "mode": "a", "map": "b" } })).unwrap());
        assert_eq!(result.to_json(), r#"{"value":?,"subscore":3,"tags":{"map":"b","mode":"a"}}"#);
        result.replace(read(json!({ "value": 9, "tags": { "mode": "c" } })).unwrap());
        assert_eq!(result.to_json(), r#"{"value":9,"subscore":3,"tags":{"mode":"c"}}"#);
    }
}
