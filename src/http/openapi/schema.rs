//! Schemas (JSON Schema 2020-12), and those that many operations share.

use serde_json::{Map, Value, json};

use crate::error::Code;
use crate::http::envelope::status;

/// A text.
pub fn text(about: &str) -> Value {
    json!({ "type": "string", "description": about })
}

/// A UUID.
pub fn uuid(about: &str) -> Value {
    json!({ "type": "string", "format": "uuid", "description": about })
}

/// A moment.
pub fn time(about: &str) -> Value {
    json!({ "type": "string", "format": "date-time", "description": about })
}

/// A whole number from 0 to the largest that JSON's readers agree on.
pub fn whole(about: &str) -> Value {
    json!({ "type": "integer", "minimum": 0, "maximum": (1u64 << 53) - 1, "description": about })
}

/// True in every answer. Not a `const`: generated Python clients compare it with the text `true`.
pub fn always_true(about: &str) -> Value {
    json!({ "type": "boolean", "not": { "const": false }, "description": about })
}

/// Yes or no.
pub fn flag(about: &str) -> Value {
    json!({ "type": "boolean", "description": about })
}

/// One of some texts.
pub fn one_of(texts: &[&str]) -> Value {
    json!({ "type": "string", "enum": texts })
}

/// One of some texts in a query; the first is the default.
pub fn choice(about: &str, texts: &[&str]) -> Value {
    json!({ "type": "string", "enum": texts, "default": texts[0], "description": about })
}

/// A whole number from 1 in a query.
pub fn range(about: &str, max: u32, default: u32) -> Value {
    json!({ "type": "integer", "minimum": 1, "maximum": max, "default": default, "description": about })
}

/// Any number of these.
pub fn list(items: Value) -> Value {
    json!({ "type": "array", "items": items })
}

/// Names, each with one of these.
pub fn map(values: Value) -> Value {
    json!({ "type": "object", "additionalProperties": values })
}

/// This, or null.
pub fn or_null(mut schema: Value) -> Value {
    if schema["title"].is_null() && schema["type"].is_string() {
        schema["type"] = json!([schema["type"].take(), "null"]);
        return schema;
    }
    json!({ "anyOf": [schema, { "type": "null" }] })
}

/// A schema that stands in `components.schemas`, so that generated clients have a type of this name.
pub fn named(name: &str, mut schema: Value) -> Value {
    schema["title"] = name.into();
    schema
}

/// Moves all named schemas below a value into a map, and leaves references to them.
pub fn collect_named(value: &mut Value, schemas: &mut Map<String, Value>) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|it| collect_named(it, schemas)),
        Value::Object(fields) => {
            fields.values_mut().for_each(|it| collect_named(it, schemas));
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

/// A schema of `shared`.
pub fn shared_as(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// Fields by their names; one whose name ends with `?` may be missing.
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

/// A success at `/api/*`.
pub fn envelope(status: u16, data: Value, metadata: Value) -> Value {
    object(&[
        ("data", data),
        ("message", text("What was done, for people")),
        ("statusCode", json!({ "type": "integer", "const": status })),
        ("metadata", metadata),
    ])
}

/// The schemas that have a name.
pub fn shared() -> Value {
    json!({
        "ErrorCode": one_of(&Code::ALL.iter().map(|it| it.as_str()).collect::<Vec<_>>()),
        "ErrorResponse": error(),
        "Row": object(&[
            ("userId", uuid("The user's UUID")),
            ("username", text("The name to show")),
            ("score", whole("The total")),
            ("rank", whole("1 + the number of users with a higher score: equal scores share it")),
        ]),
        "NumberedRow": object(&[
            ("rank", whole("1 + the number of users with a higher score: equal scores share it")),
            ("userId", whole("The user's number")),
            ("username", text("The name to show")),
            ("score", whole("The total")),
        ]),
        "Award": award(),
        "Challenge": challenge(),
        "Proof": proof(),
    })
}

fn error() -> Value {
    let field = object(&[
        ("field", text("Where, such as `proof.nonce`")),
        ("problem", text("What is wrong, without the field's value")),
    ]);
    let metadata = object(&[
        ("errorCode", shared_as("ErrorCode")),
        ("timestamp", time("When it was refused")),
        ("fields?", list(named("FieldProblem", field))),
        ("expected?", text("What to send instead of this access token")),
        ("validActionTypes?", list(text("`INVALID_ACTION`: a type that is open here"))),
        ("openUtc?", open_utc()),
        ("expectedPoints?", list(whole("`INVALID_POINTS`: what the action can be worth"))),
        ("limit?", limit()),
    ]);
    object(&[
        // Generators know no type that has only null.
        ("data", json!({ "type": ["object", "null"], "const": null, "description": "Always null" })),
        ("message", text("What is wrong, for people")),
        ("statusCode", json!({ "type": "integer", "minimum": 400, "maximum": 599 })),
        ("metadata", named("ErrorMetadata", metadata)),
    ])
}

fn open_utc() -> Value {
    let hours = object(&[
        ("from", text("`INVALID_ACTION`: when the action opens, such as `08:00`")),
        ("to", text("When it closes")),
    ]);
    named("ActionOpens", hours)
}

fn limit() -> Value {
    let limit = object(&[
        ("name", text("The setting whose limit was reached, such as `updates_per_minute` or `cap_per_day`")),
        ("max?", whole("`RATE_LIMIT_EXCEEDED`: attempts that it allows")),
        ("resetsAt", time("When it is over")),
    ]);
    named("ReachedLimit", limit)
}

/// An error of each code.
pub fn errors() -> Map<String, Value> {
    let error = |code: Code| {
        json!({ "value": {
            "data": null,
            "message": "What is wrong, for people",
            "statusCode": status(code).as_u16(),
            "metadata": { "errorCode": code.as_str(), "timestamp": "2026-11-21T15:00:00.000Z" },
        } })
    };
    // No operation has another method than its own.
    let codes = Code::ALL.iter().filter(|code| **code != Code::MethodNotAllowed);
    codes.map(|code| (code.as_str().to_owned(), error(*code))).collect()
}

fn award() -> Value {
    object(&[
        ("success", always_true("The points are awarded")),
        ("newScore", whole("The total after the award")),
        ("rank", whole("The place after the award")),
        ("leaderboard", top_top("Row")),
        ("receipt?", text("What was won, as a compact JWS (RFC 7515) that anybody can check")),
    ])
}

/// The ten best, in rows of this schema.
pub fn top_top(row: &str) -> Value {
    json!({ "type": "array", "maxItems": 10, "items": shared_as(row) })
}

fn challenge() -> Value {
    object(&[
        ("notBefore?", time("`elapsed`: not redeemed before")),
        ("notAfter?", time("`elapsed`: not redeemed after")),
        ("question?", text("`quiz`: what is asked")),
        ("choices?", list(text("`quiz`: one of the answers to choose from"))),
        ("prefix?", text("`hashcash`: what the hashed text begins with")),
        ("bits?", whole("`hashcash`: how many leading zero bits the hash has to have")),
        ("nonce?", text("`signed`: the attestation's `jti`")),
    ])
}

fn proof() -> Value {
    let mut proof = object(&[
        ("quizResult?", json!({ "description": "`quiz`: the answer" })),
        (
            "nonce?",
            json!({ "description": "`hashcash`: SHA-256(prefix + nonce) begins with so many zero bits" }),
        ),
        ("attestation?", json!({ "description": "`signed`: a compact JWS of the action's key" })),
    ]);
    proof["description"] =
        "By the action's kinds of proof; what else is there is kept, and a `webhook` sees all of it".into();
    proof["additionalProperties"] = true.into();
    proof
}
