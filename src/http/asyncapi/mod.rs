//! The AsyncAPI 3.0 document of all that is said over sockets and streams: `GET /asyncapi.json`, `laurel asyncapi`. A test holds
//! it against every message of a node, by each protocol.

mod channel;
mod ends;
mod events;
mod message;
mod socketio;

use std::sync::LazyLock;

use axum::body::Bytes;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::openapi::{CACHED, schema};

const ABOUT: &str = "What is pushed to everybody who listens: the ten best as they change, a player's own awards, and whether \
    what is shown may be old. All three ways say the same. The present board comes right after the greeting, and nothing that \
    changes between the two is missed; a board is whole, so whoever missed one needs only the next.";

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
        "description": format!("A node; `{protocol}s` where TLS ends in front of it"),
        "variables": { "host": { "default": "localhost:3000", "description": "Where it serves" } },
    })
}

/// The rows of the board are those of the other document.
fn schemas() -> Value {
    let mut shared = schema::shared();
    let mut schemas = events::schemas();
    for name in ["Row", "NumberedRow"] {
        schemas[name] = shared[name].take();
    }
    schemas
}

fn security() -> Value {
    json!({
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "The login, where a client can set headers",
        },
        "subProtocol": {
            "type": "httpApiKey",
            "in": "header",
            "name": "Sec-WebSocket-Protocol",
            "description": "The pair `laurel.v1, bearer.<jwt>`, as a browser can send it: \
                `new WebSocket(url, [\"laurel.v1\", \"bearer.\" + jwt])`",
        },
        "accessToken": {
            "type": "httpApiKey",
            "in": "query",
            "name": "access_token",
            "description": "The login, for clients that can do nothing else; it is never logged",
        },
    })
}
