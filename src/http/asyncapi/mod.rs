//! The AsyncAPI 3.0 document of the messages over WebSocket, Socket.IO and server-sent events: `GET /asyncapi.json`, `laurel asyncapi`.
//! A test compares it with every message of a node, for each protocol.

mod channel;
mod events;
mod socketio;

use std::sync::LazyLock;

use axum::body::Bytes;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::openapi::{CACHED, boards, schema};

const ABOUT: &str = "Events pushed to connected clients: the top 10 on every change, a player's own awards, whether the board may be \
    out of date, and the boards that a client subscribes to by name. All three protocols send the same events. The current board follows `connect_success` at once, and no change between \
    the two is missed. Each board is complete, so a client that missed one needs only the next.";

static TEXT: LazyLock<Bytes> = LazyLock::new(|| document().to_string().into());

/// `GET /asyncapi.json`
pub async fn serve() -> Response {
    ([(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, CACHED)], TEXT.clone()).into_response()
}

/// The document.
pub fn document() -> Value {
    let (mut channels, mut operations) = (Map::new(), Map::new());
    for channel in [channel::web_socket(), channel::stream(), channel::socket_io()] {
        operations.extend(channel.operations());
        channels.insert(channel.key.to_owned(), channel.build());
    }
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Laurel",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": { "name": "Apache 2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0" },
        },
        "defaultContentType": "application/json",
        "servers": { "sockets": server("ws"), "http": server("http") },
        "channels": channels,
        "operations": operations,
        "components": {
            "schemas": schemas(),
            "securitySchemes": security(),
        },
    })
}

fn server(protocol: &str) -> Value {
    json!({
        "host": "{host}",
        "protocol": protocol,
        "description": format!("A node; use `{protocol}s` behind a proxy with TLS"),
        "variables": { "host": { "default": "localhost:3000", "description": "Host and port of the node" } },
    })
}

/// Adds the row schemas of the OpenAPI document.
fn schemas() -> Value {
    let mut shared = schema::shared();
    let mut schemas = events::schemas();
    for name in ["Row", "NumberedRow"] {
        schemas[name] = shared[name].take();
    }
    schemas["EventEntry"] = event_entry();
    schemas
}

/// An entry of a board as events have it: without a percentile, and on `global` without a time.
fn event_entry() -> Value {
    let fields = boards::entry_fields().into_iter().filter(|(name, _)| *name != "percentile?");
    let optional = |name| if name == "achievedAt" { "achievedAt?" } else { name };
    let fields: Vec<_> = fields.map(|(name, schema)| (optional(name), schema)).collect();
    schema::object(&fields)
}

fn security() -> Value {
    json!({
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "The login JWT, for clients that can set headers",
        },
        "subProtocol": {
            "type": "httpApiKey",
            "in": "header",
            "name": "Sec-WebSocket-Protocol",
            "description": "The pair `laurel.v1, bearer.<jwt>`, for browsers: \
                `new WebSocket(url, [\"laurel.v1\", \"bearer.\" + jwt])`",
        },
        "accessToken": {
            "type": "httpApiKey",
            "in": "query",
            "name": "access_token",
            "description": "The login JWT, for clients that support neither; it is never logged",
        },
    })
}
