//! The OpenAPI 3.1 document: `GET /openapi.json`, `laurel openapi`. Each file describes the handlers of one API. Tests compare the document
//! with the router and with the responses of a node.

mod admin;
mod admin_boards;
mod analytics;
mod auth;
mod board;
pub mod boards;
mod game;
mod operation;
mod operations;
mod players;
mod realtime;
pub mod schema;
mod users;
mod v1;

use std::sync::LazyLock;

use axum::body::Bytes;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use operation::Operation;

const ABOUT: &str = "A tamper-proof, real-time leaderboard service. Responses of `/api/*` are wrapped in an envelope, responses of \
    `/api/v1/*` are not. All errors are. Every path with `GET` also supports `HEAD`. Request bodies are JSON of at most 16 KiB.\n\n\
    `userId` is a number in the game API and a UUID in `/api/v1`. Register and login return both. `actionId` is the number of an action \
    in the catalogue, except in `POST /api/v1/actions/init`, where it is the UUID of the attempt.";
/// The documents change with a release only, so clients may cache them for five minutes.
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
    let groups: [(&str, &str, Vec<Operation>); 10] = [
        ("auth", "Registration and login", auth::operations()),
        ("game", "Game API: a session with a chain of tokens, one per award", game::operations()),
        ("board", "Top 10 and a user's rank", board::operations()),
        ("boards", "Boards and their periods", boards::operations()),
        ("players", "Profiles and awards of players", players::operations()),
        (
            "actions",
            "Actions API (init, prove, finalize) and verified tokens (prove first, redeem later)",
            v1::operations(),
        ),
        ("realtime", "WebSocket, Socket.IO and server-sent events", realtime::operations()),
        ("admin", "Moderation and audit, for callers with the role `admin`", admin::operations()),
        ("analytics", "Statistics, user search and evidence, for callers with the role `admin`", analytics),
        ("operations", "Health, metrics, public keys and API documents", operations::operations()),
    ];
    let tags: Vec<_> =
        groups.iter().map(|(name, about, _)| json!({ "name": name, "description": about })).collect();
    let mut paths: Map<String, Value> = Map::new();
    for (tag, _, operations) in groups {
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
            "A repeat with the same key, user and body returns the original response and changes nothing",
            json!({ "type": "string", "pattern": "^[!-~]{1,64}$" }),
        ),
        "IfNoneMatch": header("If-None-Match", "The `ETag` of the client's cached response", schema::text("Tags, or `*`")),
    })
}

fn headers() -> Value {
    let header = |required: bool, about: &str, schema: Value| json!({ "description": about, "required": required, "schema": schema });
    let seconds = |min: u64| json!({ "type": "integer", "minimum": min });
    let count = || json!({ "type": "integer", "minimum": 0 });
    json!({
        "RequestId": header(true, "The request's id, or a generated one", schema::text("1 to 128 visible ASCII characters")),
        "RetryAfter": header(true, "Seconds to wait before a retry", seconds(1)),
        "RateLimitLimit": header(false, "Attempts allowed in the window", count()),
        "RateLimitRemaining": header(false, "Attempts left in the window", count()),
        "RateLimitReset": header(false, "Seconds until the window resets", seconds(1)),
        "IdempotentReplayed": header(false, "The response was replayed for a repeated `Idempotency-Key`", schema::one_of(&["true"])),
        "ETag": header(true, "Tag of this version of the response", schema::text("A strong tag")),
        "Age": header(false, "While Redis is unavailable: seconds since the board was known to be current", count()),
        "CacheControl": header(true, "How long the response may be cached", schema::text("As in RFC 9111")),
        "WebSocketVersion": header(false, "The supported WebSocket version, if the request is not a valid handshake", schema::one_of(&["13"])),
    })
}
