//! Schemas (JSON Schema 2020-12), and those that many operations share.

use serde_json::{Map, Value, json};

use crate::error::Code;

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

/// Yes or no.
pub fn flag(about: &str) -> Value {
    json!({ "type": "boolean", "description": about })
}

/// One of some texts.
pub fn one_of(texts: &[&str]) -> Value {
    json!({ "type": "string", "enum": texts })
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
pub fn or_null(schema: Value) -> Value {
    json!({ "anyOf": [schema, { "type": "null" }] })
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
        ("statusCode", json!({ "const": status })),
        ("metadata", metadata),
    ])
}

/// What a refused request is answered at one status, where these are the codes.
pub fn refusal(status: u16, codes: &[Code]) -> Value {
    let codes: Vec<_> = codes.iter().map(|it| it.as_str()).collect();
    let narrowed = json!({ "properties": {
        "statusCode": { "const": status },
        "metadata": { "properties": { "errorCode": { "enum": codes } } },
    } });
    json!({ "allOf": [shared_as("Error"), narrowed] })
}

/// The schemas that have a name.
pub fn shared() -> Value {
    json!({
        "ErrorCode": one_of(&Code::ALL.iter().map(|it| it.as_str()).collect::<Vec<_>>()),
        "Error": error(),
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
        ("fields?", list(field)),
        ("expected?", text("What to send instead of this access token")),
        ("validActionTypes?", list(text("`INVALID_ACTION`: a type that is open here"))),
        ("openUtc?", open_utc()),
        ("expectedPoints?", list(whole("`INVALID_POINTS`: what the action can be worth"))),
        ("limit?", limit()),
    ]);
    object(&[
        ("data", json!({ "type": "null" })),
        ("message", text("What is wrong, for people")),
        ("statusCode", json!({ "type": "integer", "minimum": 400, "maximum": 599 })),
        ("metadata", metadata),
    ])
}

fn open_utc() -> Value {
    object(&[
        ("from", text("`INVALID_ACTION`: when the action opens, such as `08:00`")),
        ("to", text("When it closes")),
    ])
}

fn limit() -> Value {
    object(&[
        ("name", text("The setting whose limit was reached, such as `updates_per_minute` or `cap_per_day`")),
        ("max?", whole("`RATE_LIMIT_EXCEEDED`: attempts that it allows")),
        ("resetsAt", time("When it is over")),
    ])
}

fn award() -> Value {
    object(&[
        ("success", json!({ "const": true })),
        ("newScore", whole("The total after the award")),
        ("rank", whole("The place after the award")),
        ("leaderboard", ten("Row")),
        ("receipt?", text("What was won, as a compact JWS (RFC 7515) that anybody can check")),
    ])
}

/// The ten best, in rows of this schema.
pub fn ten(row: &str) -> Value {
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
