//! Bodies: read whole, then taken apart field by field. All that is wrong with a body is told at once, and a field that
//! nobody asked for is wrong too.

use std::collections::BTreeMap;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::error::Category;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::MAX_BODY_BYTES;
use crate::action::proof::shortened;
use crate::error::{FieldError, Refusal};

/// A body of at most 16 KiB that calls itself JSON.
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

/// What a field is that JSON's grammar allows and its readers do not.
const UNREADABLE: &str =
    "must nest at most 127 levels, and have numbers that fit a double and whole characters";

/// 2^53: beyond, a number with a point or an exponent stands for several whole ones.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

/// Reads a whole number, however it is written: `10`, `10.0` or `1e1` (contract, section 2).
pub fn whole(text: &str) -> Option<i128> {
    let fraction = || text.parse().ok().filter(|it: &f64| it.fract() == 0.0 && it.abs() < MAX_EXACT);
    text.parse().ok().or_else(|| fraction().map(|it| it as i128))
}

fn read_text(value: &str) -> Result<String, String> {
    serde_json::from_str(value).map_err(|_| "must be a string".to_owned())
}

/// The fields of a body that are not read yet, and what was wrong with those that are.
pub struct Fields<'a> {
    left: BTreeMap<String, &'a RawValue>,
    problems: Vec<FieldError>,
}

impl<'a> Fields<'a> {
    /// Reads a body as one JSON object.
    ///
    /// # Errors
    /// It is something else.
    pub fn read(body: &'a [u8]) -> Result<Self, Refusal> {
        match serde_json::from_slice(body) {
            Ok(left) => Ok(Self { left, problems: Vec::new() }),
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

    /// A text that has to be there. `None` if it is wrong, which `finish` tells.
    pub fn text<T>(&mut self, name: &str, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let parsed = match self.take(name) {
            None => Err("is missing".to_owned()),
            Some(value) => read_text(value).and_then(|it| parse(&it)),
        };
        parsed.map_err(|problem| self.problems.push(FieldError::new(name, problem))).ok()
    }

    /// A text that may be missing, which is the empty text then.
    pub fn optional_text(&mut self, name: &str) -> String {
        let text = self.take(name).map_or(Ok(String::new()), read_text);
        text.map_err(|problem| self.problems.push(FieldError::new(name, problem))).unwrap_or_default()
    }

    /// Points that have to be there. Any number will do, for whether they are the catalogue's is another question than the body's shape
    /// (contract, "Order of checks"): 0, which no action is worth, if they are below it, have a fraction, or are too many.
    pub fn points(&mut self, name: &str) -> Option<u64> {
        let value = self.take(name);
        match value {
            Some(text) if text.starts_with(|it: char| it == '-' || it.is_ascii_digit()) => {
                Some(whole(text).and_then(|it| u64::try_from(it).ok()).unwrap_or(0))
            }
            _ => {
                let problem = if value.is_none() { "is missing" } else { "must be a number" };
                self.problems.push(FieldError::new(name, problem));
                None
            }
        }
    }

    /// A whole number, below 0 too, that has to be there.
    pub fn signed_number(&mut self, name: &str) -> Option<i64> {
        let number = self.take(name).and_then(whole).and_then(|it| i64::try_from(it).ok());
        if number.is_none() {
            self.problems.push(FieldError::new(name, "must be a whole number"));
        }
        number
    }

    /// A whole number from 0 that may be missing.
    pub fn optional_number(&mut self, name: &str) -> Option<u64> {
        let number = whole(self.take(name)?).and_then(|it| u64::try_from(it).ok());
        if number.is_none() {
            self.problems.push(FieldError::new(name, "must be a whole number from 0"));
        }
        number
    }

    /// Something that is wrong with the fields together, if each has its shape.
    pub fn problem(&mut self, name: &str, problem: &str) {
        if self.problems.is_empty() {
            self.problems.push(FieldError::new(name, problem));
        }
    }

    /// An object that may be missing.
    pub fn optional_object(&mut self, name: &str) -> Option<Map<String, Value>> {
        let value = self.take(name)?;
        let object = serde_json::from_str(value).ok();
        if object.is_none() {
            let problem = if value.starts_with('{') { UNREADABLE } else { "must be an object" };
            self.problems.push(FieldError::new(name, problem));
        }
        object
    }

    /// A field's JSON, if it is there and not null.
    fn take(&mut self, name: &str) -> Option<&'a str> {
        self.left.remove(name).map(RawValue::get).filter(|it| *it != "null")
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// Everything that was wrong, and every field that is left.
    pub fn finish(mut self) -> Result<(), Refusal> {
        self.problems.extend(self.left.keys().map(|it| FieldError::new(shortened(it), "is unknown")));
        if self.problems.is_empty() { Ok(()) } else { Err(Refusal::Validation(self.problems)) }
    }
}
