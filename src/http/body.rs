//! Request bodies: read as a whole, then field by field. All problems of a body are reported together. Unknown fields are errors.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::error::Category;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::MAX_BODY_BYTES;
use crate::action::proof::shortened;
use crate::error::{FieldError, Refusal};

/// A body of at most 16 KiB with the content type `application/json`.
pub struct Body(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refusal> {
        let headers = request.headers();
        let kind = headers.get(CONTENT_TYPE).map(|it| it.to_str().unwrap_or_default().to_ascii_lowercase());
        let declared: u64 =
            headers.get(CONTENT_LENGTH).and_then(|it| it.to_str().ok()?.parse().ok()).unwrap_or_default();
        if declared > MAX_BODY_BYTES as u64 {
            return Err(Refusal::PayloadTooLarge);
        }
        let body = Limited::new(request.into_body(), MAX_BODY_BYTES).collect().await;
        let bytes = body.map(|it| it.to_bytes()).map_err(|error| {
            if error.is::<LengthLimitError>() {
                Refusal::PayloadTooLarge
            } else {
                Refusal::field("body", "ended too early")
            }
        })?;
        let json =
            kind.as_deref().map(|it| it.split(';').next().unwrap_or_default().trim() == "application/json");
        match json {
            Some(true) => Ok(Self(bytes)),
            None if bytes.is_empty() => Ok(Self(bytes)),
            _ => Err(Refusal::UnsupportedMediaType),
        }
    }
}

/// Problem of a value that is valid JSON but beyond the parser's limits.
const UNREADABLE: &str =
    "must nest at most 127 levels, and contain only numbers that fit a double and valid Unicode";

/// 2^53. Above it a number with a fraction or an exponent is not exact.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

/// Parses an integer in any JSON notation: `10`, `10.0` or `1e1`.
pub fn parse_integer(text: &str) -> Option<i128> {
    let fraction = || text.parse().ok().filter(|it: &f64| it.fract() == 0.0 && it.abs() < MAX_EXACT);
    text.parse().ok().or_else(|| fraction().map(|number| number as i128))
}

fn read_text(value: &str) -> Result<String, String> {
    serde_json::from_str(value).map_err(|_| "must be a string".to_owned())
}

/// The fields of a body that are not read yet, and the problems of those that are.
pub struct Fields<'a> {
    unread: BTreeMap<String, &'a RawValue>,
    problems: Vec<FieldError>,
}

impl<'a> Fields<'a> {
    /// Parses a body as one JSON object.
    ///
    /// # Errors
    /// The body is not a JSON object.
    pub fn read(body: &'a [u8]) -> Result<Self, Refusal> {
        match serde_json::from_slice(body) {
            Ok(unread) => Ok(Self { unread, problems: Vec::new() }),
            Err(_) if body.is_empty() => Err(Refusal::field("body", "is missing")),
            Err(error) if error.classify() == Category::Data => {
                Err(Refusal::field("body", "must be a JSON object"))
            }
            Err(error) => Err(Refusal::field(
                "body",
                format!("is not JSON (line {}, column {})", error.line(), error.column()),
            )),
        }
    }

    /// A required string. `None` if it is missing or wrong; `finish` reports the problem.
    pub fn text<T>(&mut self, name: &str, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let parsed = match self.take(name) {
            None => Err("is missing".to_owned()),
            Some(value) => read_text(value).and_then(|text| parse(&text)),
        };
        parsed.map_err(|problem| self.problems.push(FieldError::new(name, problem))).ok()
    }

    /// An optional string, empty if it is missing.
    pub fn optional_text(&mut self, name: &str) -> String {
        let text = self.take(name).map_or(Ok(String::new()), read_text);
        text.map_err(|problem| self.problems.push(FieldError::new(name, problem))).unwrap_or_default()
    }

    /// Required points. Any number is accepted here, because the catalogue is checked later (`INVALID_POINTS`). A negative, fractional
    /// or huge number is read as `u64::MAX`, which no action is worth.
    pub fn points(&mut self, name: &str) -> Option<u64> {
        let value = self.take(name);
        match value {
            Some(text) if text.starts_with(|it: char| it == '-' || it.is_ascii_digit()) => {
                Some(parse_integer(text).and_then(|number| u64::try_from(number).ok()).unwrap_or(u64::MAX))
            }
            _ => {
                let problem = if value.is_none() { "is missing" } else { "must be a number" };
                self.problems.push(FieldError::new(name, problem));
                None
            }
        }
    }

    /// A required integer, which may be negative.
    pub fn signed_number(&mut self, name: &str) -> Option<i64> {
        let number = self.take(name).and_then(parse_integer).and_then(|number| i64::try_from(number).ok());
        if number.is_none() {
            self.problems.push(FieldError::new(name, "must be a whole number"));
        }
        number
    }

    /// An optional integer of at least 0.
    pub fn optional_number(&mut self, name: &str) -> Option<u64> {
        let number = parse_integer(self.take(name)?).and_then(|number| u64::try_from(number).ok());
        if number.is_none() {
            self.problems.push(FieldError::new(name, "must be a whole number of at least 0"));
        }
        number
    }

    /// Reports a problem of several fields together, if no single field has one.
    pub fn problem(&mut self, name: &str, problem: &str) {
        if self.problems.is_empty() {
            self.problems.push(FieldError::new(name, problem));
        }
    }

    /// An optional JSON object.
    pub fn optional_object(&mut self, name: &str) -> Option<Map<String, Value>> {
        let value = self.take(name)?;
        let object = serde_json::from_str(value).ok();
        if object.is_none() {
            let problem = if value.starts_with('{') { UNREADABLE } else { "must be an object" };
            self.problems.push(FieldError::new(name, problem));
        }
        object
    }

    /// A required list of different UUIDs.
    pub fn uuids(&mut self, name: &str, counts: RangeInclusive<usize>) -> Option<Vec<Uuid>> {
        let ids: Option<Vec<Uuid>> = self.take(name).and_then(|value| serde_json::from_str(value).ok());
        let ids = ids.filter(|ids| counts.contains(&ids.len()));
        let Some(mut ids) = ids else {
            let problem = format!("must be a list of {} to {} UUIDs", counts.start(), counts.end());
            self.problems.push(FieldError::new(name, problem));
            return None;
        };
        ids.sort_unstable();
        ids.dedup();
        Some(ids)
    }

    /// Whether a field that is not read yet is present and not null.
    pub fn has(&self, name: &str) -> bool {
        self.unread.get(name).is_some_and(|value| value.get() != "null")
    }

    /// All fields that are not read yet, but for null ones, as JSON.
    ///
    /// # Errors
    /// All problems that were found, and every field that cannot be parsed.
    pub fn rest(mut self) -> Result<Map<String, Value>, Refusal> {
        let mut rest = Map::new();
        for (name, value) in std::mem::take(&mut self.unread) {
            let integer = parse_integer(value.get()).and_then(|integer| i64::try_from(integer).ok());
            match integer.map_or_else(|| serde_json::from_str(value.get()), |integer| Ok(integer.into())) {
                Ok(Value::Null) => {}
                Ok(value) => drop(rest.insert(name, value)),
                Err(_) => self.problems.push(FieldError::new(shortened(&name), UNREADABLE)),
            }
        }
        self.finish().map(|()| rest)
    }

    /// Takes a field's JSON, if it is present and not null.
    fn take(&mut self, name: &str) -> Option<&'a str> {
        self.unread.remove(name).map(RawValue::get).filter(|text| *text != "null")
    }

    /// Ends the parsing.
    ///
    /// # Errors
    /// All problems that were found, and every field that was not read.
    pub fn finish(mut self) -> Result<(), Refusal> {
        self.problems.extend(self.unread.keys().map(|name| FieldError::new(shortened(name), "is unknown")));
        if self.problems.is_empty() { Ok(()) } else { Err(Refusal::Validation(self.problems)) }
    }
}
