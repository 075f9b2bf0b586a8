//! Builders for JSON Schema 2020-12, and the schemas shared by several operations.

use serde_json::{Map, Value, json};

use crate::error::Code;
use crate::http::envelope::status;

/// A string.
pub fn text(about: &str) -> Value {
    json!({ "type": "string", "description": about })
}

/// A UUID.
pub fn uuid(about: &str) -> Value {
    json!({ "type": "string", "format": "uuid", "description": about })
}

/// An RFC 3339 time.
pub fn time(about: &str) -> Value {
    json!({ "type": "string", "format": "date-time", "description": about })
}

/// An integer from 0 to 2^53 - 1, the largest that all JSON parsers read exactly.
pub fn integer(about: &str) -> Value {
    json!({ "type": "integer", "minimum": 0, "maximum": (1u64 << 53) - 1, "description": about })
}

/// An integer from -(2^53 - 1) to 2^53 - 1.
pub fn signed_integer(about: &str) -> Value {
    let largest = (1i64 << 53) - 1;
    json!({ "type": "integer", "minimum": -largest, "maximum": largest, "description": about })
}

/// A number from 0 to 100.
pub fn percentage(about: &str) -> Value {
    json!({ "type": "number", "minimum": 0, "maximum": 100, "description": about })
}

/// A boolean that is always true. Not a `const`: generated Python clients compare that with the string `true`.
pub fn always_true(about: &str) -> Value {
    json!({ "type": "boolean", "not": { "const": false }, "description": about })
}

/// A boolean.
pub fn boolean(about: &str) -> Value {
    json!({ "type": "boolean", "description": about })
}

/// An enum of strings.
pub fn one_of(texts: &[&str]) -> Value {
    json!({ "type": "string", "enum": texts })
}

/// An enum in a query. The first value is the default.
pub fn choice(about: &str, texts: &[&str]) -> Value {
    json!({ "type": "string", "enum": texts, "default": texts[0], "description": about })
}

/// An integer of at least 1 in a query.
pub fn range(about: &str, max: u32, default: u32) -> Value {
    json!({ "type": "integer", "minimum": 1, "maximum": max, "default": default, "description": about })
}

/// An array.
pub fn list(items: Value) -> Value {
    json!({ "type": "array", "items": items })
}

/// An object with arbitrary keys.
pub fn map(values: Value) -> Value {
    json!({ "type": "object", "additionalProperties": values })
}

/// The schema or null.
pub fn or_null(mut schema: Value) -> Value {
    if schema["title"].is_null() && schema["type"].is_string() {
        schema["type"] = json!([schema["type"].take(), "null"]);
        return schema;
    }
    json!({ "anyOf": [schema, { "type": "null" }] })
}

/// A schema that `collect_named` moves to `components.schemas`, so that generated clients have a type of this name.
pub fn named(name: &str, mut schema: Value) -> Value {
    schema["title"] = name.into();
    schema
}

/// Moves all named schemas below a value into a map and replaces them by references.
pub fn collect_named(value: &mut Value, schemas: &mut Map<String, Value>) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| collect_named(item, schemas)),
        Value::Object(fields) => {
            fields.values_mut().for_each(|field| collect_named(field, schemas));
            if let Some(Value::String(name)) = fields.get("title").cloned() {
                fields.shift_remove("title");
                let schema = std::mem::replace(value, shared_as(&name));
                let known = schemas.entry(name).or_insert_with(|| schema.clone());
                debug_assert_eq!(*known, schema, "two schemas have one name");
            }
        }
        _ => {}
    }
}

/// A reference to a schema in `components.schemas`.
pub fn shared_as(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// An object with these fields. A field whose name ends with `?` is optional.
pub fn object(fields: &[(&str, Value)]) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for (name, schema) in fields {
        let bare = name.trim_end_matches('?');
        if bare == *name {
            required.push(bare);
        }
        properties.insert(bare.to_owned(), schema.clone());
    }
    json!({ "type": "object", "properties": properties, "required": required })
}

/// A success in the envelope of `/api/*`.
pub fn envelope(status: u16, data: Value, metadata: Value) -> Value {
    object(&[
        ("data", data),
        ("message", text("Human-readable result")),
        ("statusCode", json!({ "type": "integer", "const": status })),
        ("metadata", metadata),
    ])
}

/// Schemas used by several operations.
pub fn shared() -> Value {
    json!({
        "ErrorCode": one_of(&Code::ALL.iter().map(|it| it.as_str()).collect::<Vec<_>>()),
        "ErrorResponse": error(),
        "Row": object(&[
            ("userId", uuid("The user's UUID")),
            ("username", text("Display name")),
            ("score", integer("Total score")),
            ("rank", integer("1 + the number of users with a higher score; users with equal scores share a rank")),
        ]),
        "NumberedRow": object(&[
            ("rank", integer("1 + the number of users with a higher score; users with equal scores share a rank")),
            ("userId", integer("The user's number")),
            ("username", text("Display name")),
            ("score", integer("Total score")),
        ]),
        "Award": award(),
        "Challenge": challenge(),
        "Proof": proof(),
    })
}

fn error() -> Value {
    let field = object(&[
        ("field", text("Path of the field, such as `proof.nonce`")),
        ("problem", text("Problem of the field, without its value")),
    ]);
    let metadata = object(&[
        ("errorCode", shared_as("ErrorCode")),
        ("timestamp", time("Time of the error")),
        ("fields?", list(named("FieldProblem", field))),
        ("expected?", text("What to send instead of this access token")),
        ("validActionTypes?", list(text("`INVALID_ACTION`: an action type that this API accepts"))),
        ("openUtc?", open_utc()),
        ("expectedPoints?", list(integer("`INVALID_POINTS`: points that the action can award"))),
        ("limit?", limit()),
    ]);
    object(&[
        // Client generators do not support a type that is only null.
        ("data", json!({ "type": ["object", "null"], "const": null, "description": "Always null" })),
        ("message", text("Human-readable error")),
        ("statusCode", json!({ "type": "integer", "minimum": 400, "maximum": 599 })),
        ("metadata", named("ErrorMetadata", metadata)),
    ])
}

fn open_utc() -> Value {
    let hours = object(&[
        ("from", text("`INVALID_ACTION`: opening time in UTC, such as `08:00`")),
        ("to", text("Closing time in UTC")),
    ]);
    named("ActionOpens", hours)
}

fn limit() -> Value {
    let limit = object(&[
        ("name", text("The setting whose limit was reached, such as `updates_per_minute` or `cap_per_day`")),
        ("max?", integer("`RATE_LIMIT_EXCEEDED`: attempts allowed in the window")),
        ("resetsAt", time("When the limit resets")),
    ]);
    named("ReachedLimit", limit)
}

/// An example error of each code.
pub fn errors() -> Map<String, Value> {
    let error = |code: Code| {
        json!({ "value": {
            "data": null,
            "message": "Human-readable error",
            "statusCode": status(code).as_u16(),
            "metadata": { "errorCode": code.as_str(), "timestamp": "2026-11-21T15:00:00.000Z" },
        } })
    };
    // The document lists no unsupported methods.
    let codes = Code::ALL.iter().filter(|code| **code != Code::MethodNotAllowed);
    codes.map(|code| (code.as_str().to_owned(), error(*code))).collect()
}

fn award() -> Value {
    object(&[
        ("success", always_true("The points are awarded")),
        ("newScore", integer("Total score after the award")),
        ("rank", or_null(integer("Rank after the award; null without points"))),
        ("leaderboard", top_top("Row")),
        ("receipt?", text("Signed record of the award, a compact JWS (RFC 7515)")),
    ])
}

/// The top list, with rows of this schema.
pub fn top_top(row: &str) -> Value {
    json!({ "type": "array", "maxItems": 10, "items": shared_as(row) })
}

fn challenge() -> Value {
    object(&[
        ("notBefore?", time("`elapsed`: earliest time of redemption")),
        ("notAfter?", time("`elapsed`: latest time of redemption")),
        ("question?", text("`quiz`: the question")),
        ("choices?", list(text("`quiz`: a possible answer"))),
        ("prefix?", text("`hashcash`: prefix of the hashed text")),
        ("bits?", integer("`hashcash`: number of leading zero bits that the hash needs")),
        ("nonce?", text("`signed`: required `jti` of the attestation")),
    ])
}

fn proof() -> Value {
    let mut proof = object(&[
        ("quizResult?", json!({ "description": "`quiz`: the answer" })),
        (
            "nonce?",
            json!({ "description": "`hashcash`: a text such that SHA-256(prefix + nonce) starts with `bits` zero bits" }),
        ),
        ("attestation?", json!({ "description": "`signed`: a compact JWS signed by the action's key" })),
    ]);
    proof["description"] =
        "Fields depend on the action's kinds of proof. Other fields are stored and passed to a `webhook`."
            .into();
    proof["additionalProperties"] = true.into();
    proof
}
