//! The OpenAPI 3.1 document of every operation: `GET /openapi.json`, `laurel openapi`. Each file here describes a file of handlers
//! beside this folder; a test holds the document against the router and against what a node really answers.

mod admin;
mod analytics;
mod auth;
mod board;
mod game;
mod listen;
mod operation;
mod operations;
pub mod schema;
mod users;
mod v1;

use std::sync::LazyLock;

use axum::body::Bytes;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use operation::Operation;

const ABOUT: &str = "A tamper-proof, real-time leaderboard service. Answers at `/api/*` come in an envelope, those at \
    `/api/v1/*` bare; every refusal comes in the envelope. Every path that has `GET` answers `HEAD` too. Bodies are JSON of at \
    most 16 KiB.";
/// A node that was replaced by a newer release serves another document.
pub const CACHED: &str = "public, max-age=300";

static TEXT: LazyLock<Bytes> = LazyLock::new(|| document().to_string().into());

/// `GET /openapi.json`
pub async fn serve() -> Response {
    ([(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, CACHED)], TEXT.clone()).into_response()
}

/// The document.
pub fn document() -> Value {
    let mut analytics = analytics::operations();
    analytics.extend(users::operations());
    let rooms: [(&str, &str, Vec<Operation>); 8] = [
        ("auth", "Logins", auth::operations()),
        ("game", "The game API: a session, whose tokens give way to each other", game::operations()),
        ("board", "The ten best, and a user's place", board::operations()),
        ("actions", "The actions API and verified tokens", v1::operations()),
        ("listen", "Sockets and events", listen::operations()),
        ("admin", "For callers with the role `admin`", admin::operations()),
        ("analytics", "What operators see at a glance, and of one user", analytics),
        ("operations", "For operators, balancers and tools", operations::operations()),
    ];
    let tags: Vec<_> =
        rooms.iter().map(|(name, about, _)| json!({ "name": name, "description": about })).collect();
    let mut paths: Map<String, Value> = Map::new();
    for (tag, _, operations) in rooms {
        for operation in operations {
            let path = paths.entry(operation.path).or_insert_with(|| json!({}));
            let method = operation.method;
            path[method] = operation.tag(tag).build();
        }
    }
    let (mut schemas, mut paths, mut shared) = (Map::new(), Value::from(paths), schema::shared());
    for part in [&mut paths, &mut shared] {
        schema::collect_named(part, &mut schemas);
    }
    schemas.extend(shared.as_object().cloned().unwrap_or_default());
    schemas.sort_keys();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Laurel",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "contact": { "name": "The operator of this node" },
            "license": { "name": "Apache 2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "tags": tags,
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT" },
                "accessToken": { "type": "apiKey", "in": "query", "name": "access_token" },
            },
            "parameters": parameters(),
            "headers": headers(),
            "schemas": schemas,
            "examples": schema::errors(),
        },
    })
}

fn parameters() -> Value {
    let header = |name: &str, about: &str, schema: Value| json!({ "name": name, "in": "header", "required": false, "description": about, "schema": schema });
    json!({
        "IdempotencyKey": header(
            "Idempotency-Key",
            "A repeat with the same key, user and body gets the first answer again, and changes nothing",
            json!({ "type": "string", "pattern": "^[!-~]{1,64}$" }),
        ),
        "IfNoneMatch": header("If-None-Match", "An `ETag` that the client has", schema::text("Tags, or `*`")),
    })
}

fn headers() -> Value {
    let header = |required: bool, about: &str, schema: Value| json!({ "description": about, "required": required, "schema": schema });
    let seconds = |least: u64| json!({ "type": "integer", "minimum": least });
    let count = || json!({ "type": "integer", "minimum": 0 });
    json!({
        "RequestId": header(true, "The request's own, or one that was made", schema::text("1 to 128 visible ASCII characters")),
        "RetryAfter": header(true, "Seconds to wait", seconds(1)),
        "RateLimitLimit": header(false, "Attempts in a window", count()),
        "RateLimitRemaining": header(false, "Attempts that are left", count()),
        "RateLimitReset": header(false, "Seconds until the window closes", seconds(1)),
        "IdempotentReplayed": header(false, "This is the first answer again", schema::one_of(&["true"])),
        "ETag": header(true, "The board's version", schema::text("A strong tag")),
        "Age": header(false, "While Redis is away: for how many seconds the board may be stale", count()),
        "CacheControl": header(true, "How long it may be kept", schema::text("As in RFC 9111")),
        "WebSocketVersion": header(false, "To what asks for no WebSocket: the version that is spoken", schema::one_of(&["13"])),
    })
}
