//! Bodies: read whole, then taken apart field by field. All that is wrong with a body is told at once, and a field that
//! nobody asked for is wrong too.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http_body_util::{BodyExt, LengthLimitError, Limited};
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

/// 2^53: beyond, a number with a point or an exponent stands for several whole ones.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

/// A whole number, however it is written: `10`, `10.0` or `1e1` (contract, section 2).
fn whole(value: &Value) -> Option<i128> {
    let integer = value.as_i64().map(i128::from).or_else(|| value.as_u64().map(i128::from));
    let fraction = || value.as_f64().filter(|it| it.fract() == 0.0 && it.abs() < MAX_EXACT);
    integer.or_else(|| fraction().map(|it| it as i128))
}

/// The fields of a body that are not read yet, and what was wrong with those that are.
pub struct Fields {
    left: Map<String, Value>,
    problems: Vec<FieldError>,
}

impl Fields {
    /// Reads a body as one JSON object.
    ///
    /// # Errors
    /// It is something else.
    pub fn read(body: &[u8]) -> Result<Self, Refusal> {
        match serde_json::from_slice(body) {
            Ok(Value::Object(left)) => Ok(Self { left, problems: Vec::new() }),
            Ok(_) => Err(Refusal::field("body", "must be a JSON object")),
            Err(_) if body.is_empty() => Err(Refusal::field("body", "is missing")),
            Err(error) => Err(Refusal::field(
                "body",
                format!("is not JSON (line {}, column {})", error.line(), error.column()),
            )),
        }
    }

    /// A text that has to be there. `None` if it is wrong, which `finish` tells.
    pub fn text<T>(&mut self, name: &str, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let parsed = match self.left.remove(name) {
            None | Some(Value::Null) => Err("is missing".to_owned()),
            Some(Value::String(text)) => parse(&text),
            Some(_) => Err("must be a string".to_owned()),
        };
        parsed.map_err(|problem| self.problems.push(FieldError::new(name, problem))).ok()
    }

    /// A text that may be missing, which is the empty text then.
    pub fn optional_text(&mut self, name: &str) -> String {
        match self.left.get(name) {
            None | Some(Value::Null) => {
                self.left.remove(name);
                String::new()
            }
            Some(_) => self.text(name, |it| Ok(it.to_owned())).unwrap_or_default(),
        }
    }

    /// A whole number from 0 that has to be there.
    pub fn number(&mut self, name: &str) -> Option<u64> {
        let value = self.left.remove(name);
        let number = value.as_ref().and_then(whole).and_then(|it| u64::try_from(it).ok());
        if number.is_none() {
            let missing = matches!(value, None | Some(Value::Null));
            let problem = if missing { "is missing" } else { "must be a whole number from 0" };
            self.problems.push(FieldError::new(name, problem));
        }
        number
    }

    /// A whole number, below 0 too, that has to be there.
    pub fn signed_number(&mut self, name: &str) -> Option<i64> {
        let number = self.left.remove(name).as_ref().and_then(whole).and_then(|it| i64::try_from(it).ok());
        if number.is_none() {
            self.problems.push(FieldError::new(name, "must be a whole number"));
        }
        number
    }

    /// A whole number from 0 that may be missing.
    pub fn optional_number(&mut self, name: &str) -> Option<u64> {
        match self.left.get(name) {
            None | Some(Value::Null) => {
                self.left.remove(name);
                None
            }
            Some(_) => self.number(name),
        }
    }

    /// Something that is wrong with the fields together, if each has its shape.
    pub fn problem(&mut self, name: &str, problem: &str) {
        if self.problems.is_empty() {
            self.problems.push(FieldError::new(name, problem));
        }
    }

    /// An object that may be missing.
    pub fn optional_object(&mut self, name: &str) -> Option<Map<String, Value>> {
        match self.left.remove(name) {
            None | Some(Value::Null) => None,
            Some(Value::Object(object)) => Some(object),
            Some(_) => {
                self.problems.push(FieldError::new(name, "must be an object"));
                None
            }
        }
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
