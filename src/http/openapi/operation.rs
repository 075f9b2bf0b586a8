//! Builder for one operation of the OpenAPI document.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::schema::{named, shared_as};
use crate::error::Code;
use crate::http::envelope::status;

const JSON: &str = "application/json";

/// A method at a path.
pub struct Operation {
    /// Path template.
    pub path: &'static str,
    /// `get`, `post` or `patch`.
    pub method: &'static str,
    id: &'static str,
    about: Map<String, Value>,
    parameters: Vec<Value>,
    answers: BTreeMap<u16, Answer>,
    codes: Vec<Code>,
    replays: bool,
    rate_limited: bool,
}

#[derive(Default)]
struct Answer {
    about: Vec<String>,
    headers: Map<String, Value>,
    content: BTreeMap<&'static str, Body>,
}

/// A response body in one media type.
#[derive(Default)]
struct Body {
    /// Alternatives (`anyOf`).
    schemas: Vec<Value>,
    /// Example errors by code.
    examples: Map<String, Value>,
}

impl Operation {
    /// A `GET`, with a title and a description.
    pub fn get(path: &'static str, id: &'static str, summary: &str, about: &str) -> Self {
        Self::new("get", path, id, summary, about)
    }

    /// A `POST`, with a title and a description.
    pub fn post(path: &'static str, id: &'static str, summary: &str, about: &str) -> Self {
        Self::new("post", path, id, summary, about)
    }

    /// A `PATCH`, with a title and a description.
    pub fn patch(path: &'static str, id: &'static str, summary: &str, about: &str) -> Self {
        Self::new("patch", path, id, summary, about)
    }

    fn new(method: &'static str, path: &'static str, id: &'static str, summary: &str, about: &str) -> Self {
        let about = json!({ "operationId": id, "summary": summary, "description": about, "security": [] });
        Self {
            path,
            method,
            id,
            about: about.as_object().cloned().unwrap_or_default(),
            parameters: Vec::new(),
            answers: BTreeMap::new(),
            // Any request can fail because of an unavailable store, a time-out or a panic.
            codes: vec![Code::ServiceUnavailable, Code::InternalError],
            replays: false,
            rate_limited: false,
        }
        // All paths below `/api/` have a rate limit per address.
        .refused(if path.starts_with("/api/") { &[Code::RateLimitExceeded] } else { &[] })
    }

    /// Sets the tag.
    pub fn tag(mut self, tag: &str) -> Self {
        self.about.insert("tags".to_owned(), json!([tag]));
        self
    }

    /// Requires a login.
    pub fn login(mut self) -> Self {
        self.about.insert("security".to_owned(), json!([{ "bearer": [] }]));
        self.refused(&[Code::Unauthorized, Code::InvalidToken])
    }

    /// Accepts a login, and requests without one.
    pub fn optional_login(mut self) -> Self {
        self.about.insert("security".to_owned(), json!([{ "bearer": [] }, {}]));
        self
    }

    /// Accepts a login in a header or the query.
    pub fn realtime_login(mut self, is_required: bool) -> Self {
        let mut schemes = vec![json!({ "bearer": [] }), json!({ "accessToken": [] })];
        if !is_required {
            schemes.push(json!({}));
        }
        self.about.insert("security".to_owned(), schemes.into());
        self.refused(&[Code::Unauthorized, Code::InvalidToken, Code::Forbidden])
    }

    /// Adds a JSON body without additional fields.
    pub fn body(mut self, mut schema: Value, example: Value) -> Self {
        schema["additionalProperties"] = false.into();
        let content = json!({ "schema": self.name_body(schema, "Request"), "example": example });
        let body = json!({ "required": true, "content": { JSON: content } });
        self.about.insert("requestBody".to_owned(), body);
        self.refused(&[Code::ValidationError, Code::PayloadTooLarge, Code::UnsupportedMediaType])
    }

    /// Adds a plain-text body.
    pub fn plain_body(mut self, about: &str, example: &str) -> Self {
        let content = json!({ "schema": { "type": "string" }, "example": example });
        let body = json!({ "required": true, "description": about, "content": { "text/plain": content } });
        self.about.insert("requestBody".to_owned(), body);
        self.refused(&[Code::PayloadTooLarge])
    }

    /// Adds a path parameter.
    pub fn path_parameter(self, name: &str, schema: Value, example: impl Into<Value>) -> Self {
        self.parameter("path", name, schema, Some(example.into()))
    }

    /// Adds a required query parameter.
    pub fn query_parameter(self, name: &str, schema: Value, example: &str) -> Self {
        self.parameter("query", name, schema, Some(example.into()))
    }

    /// Adds an optional query parameter.
    pub fn optional_parameter(self, name: &str, schema: Value) -> Self {
        self.parameter("query", name, schema, None)
    }

    fn parameter(mut self, place: &str, name: &str, mut schema: Value, example: Option<Value>) -> Self {
        let about = schema.as_object_mut().and_then(|it| it.shift_remove("description"));
        let mut parameter = json!({ "name": name, "in": place, "required": example.is_some(), "description": about, "schema": schema });
        if let Some(example) = example {
            parameter["example"] = example;
        }
        self.parameters.push(parameter);
        self
    }

    /// Adds a shared header parameter.
    pub fn header(mut self, name: &str) -> Self {
        self.parameters.push(json!({ "$ref": format!("#/components/parameters/{name}") }));
        self
    }

    /// Accepts an `Idempotency-Key`.
    pub fn idempotent(self) -> Self {
        self.header("IdempotencyKey").refused(&[Code::IdempotencyMismatch, Code::ValidationError])
    }

    /// Accepts an `Idempotency-Key` and marks replayed responses with a header.
    pub fn replayable(mut self) -> Self {
        self.replays = true;
        self.idempotent()
    }

    /// Adds the `RateLimit-*` headers to all responses.
    pub fn rate_limited(mut self) -> Self {
        self.rate_limited = true;
        self
    }

    /// Adds a JSON response.
    pub fn answer(self, status: u16, about: &str, schema: Value) -> Self {
        self.answer_as(status, about, JSON, schema)
    }

    /// Adds a response of another media type.
    pub fn answer_as(mut self, status: u16, about: &str, kind: &'static str, schema: Value) -> Self {
        let schema = self.name_body(schema, "Response");
        let answer = self.answers.entry(status).or_default();
        answer.about.push(about.to_owned());
        answer.content.entry(kind).or_default().schemas.push(schema);
        self
    }

    /// Names a body without a name after the operation.
    fn name_body(&self, schema: Value, suffix: &str) -> Value {
        if schema["properties"].is_null() || !schema["title"].is_null() {
            return schema;
        }
        let (initial, rest) = self.id.split_at(1);
        named(&format!("{}{rest}{suffix}", initial.to_ascii_uppercase()), schema)
    }

    /// Adds a response without a body.
    pub fn bare_answer(mut self, status: u16, about: &str) -> Self {
        self.answers.entry(status).or_default().about.push(about.to_owned());
        self
    }

    /// Adds a header to the responses of a status.
    pub fn answer_header(mut self, status: u16, name: &str, header: &str) -> Self {
        let headers = &mut self.answers.entry(status).or_default().headers;
        headers.insert(name.to_owned(), header_of(header));
        self
    }

    /// Adds a JSON response with `ETag`, and 304.
    pub fn cached(self, about: &str, schema: Value) -> Self {
        let operation = self
            .header("IfNoneMatch")
            .answer(200, about, schema)
            .bare_answer(304, "The client has the current response");
        [200, 304].into_iter().fold(operation, |operation, status| {
            operation.answer_header(status, "ETag", "ETag").answer_header(
                status,
                "Cache-Control",
                "CacheControl",
            )
        })
    }

    /// Adds error codes.
    pub fn refused(mut self, codes: &[Code]) -> Self {
        self.codes.extend(codes);
        self
    }

    /// The operation object of the document.
    pub fn build(mut self) -> Value {
        self.refusals();
        let mut responses = Map::new();
        for (status, mut answer) in self.answers {
            answer.headers.insert("X-Request-Id".to_owned(), header_of("RequestId"));
            if matches!(status, 429 | 503) {
                answer.headers.insert("Retry-After".to_owned(), header_of("RetryAfter"));
            }
            if self.rate_limited || status == 429 {
                for (name, header) in RATE {
                    answer.headers.insert(name.to_owned(), header_of(header));
                }
            }
            // An invalid proof spends the token, so its response is replayed too.
            if self.replays && matches!(status, 200 | 201 | 422) {
                answer.headers.insert("Idempotent-Replayed".to_owned(), header_of("IdempotentReplayed"));
            }
            responses.insert(status.to_string(), answer.build());
        }
        if !self.parameters.is_empty() {
            self.about.insert("parameters".to_owned(), self.parameters.into());
        }
        self.about.insert("responses".to_owned(), responses.into());
        self.about.into()
    }

    /// Adds the error responses, grouped by status, in the order of `Code::ALL`.
    fn refusals(&mut self) {
        let mut by_status: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
        for code in Code::ALL.iter().filter(|code| self.codes.contains(code)) {
            by_status.entry(status(*code).as_u16()).or_default().push(*code);
        }
        for (status, codes) in by_status {
            let answer = self.answers.entry(status).or_default();
            let listed: Vec<_> = codes.iter().map(|code| format!("`{}`", code.as_str())).collect();
            answer.about.push(listed.join(", "));
            let body = answer.content.entry(JSON).or_default();
            body.schemas.push(shared_as("ErrorResponse"));
            body.examples = codes.iter().map(|code| (code.as_str().to_owned(), example_of(*code))).collect();
        }
    }
}

const RATE: [(&str, &str); 3] = [
    ("RateLimit-Limit", "RateLimitLimit"),
    ("RateLimit-Remaining", "RateLimitRemaining"),
    ("RateLimit-Reset", "RateLimitReset"),
];

fn example_of(code: Code) -> Value {
    json!({ "$ref": format!("#/components/examples/{}", code.as_str()) })
}

fn header_of(name: &str) -> Value {
    json!({ "$ref": format!("#/components/headers/{name}") })
}

impl Answer {
    fn build(mut self) -> Value {
        let mut content = Map::new();
        for (kind, Body { mut schemas, examples }) in self.content {
            let schema = if schemas.len() == 1 { schemas.remove(0) } else { json!({ "anyOf": schemas }) };
            let mut body = json!({ "schema": schema });
            if !examples.is_empty() {
                body["examples"] = examples.into();
            }
            content.insert(kind.to_owned(), body);
        }
        self.headers.sort_keys();
        let mut answer = json!({ "description": self.about.join("; or "), "headers": self.headers });
        if !content.is_empty() {
            answer["content"] = content.into();
        }
        answer
    }
}
