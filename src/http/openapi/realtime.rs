//! Real-time endpoints: `/api/v1/ws`, `/api/v1/leaderboard/stream`, `/socket.io/`. Their messages are in `asyncapi/`.

use serde_json::{Value, json};

use super::operation::Operation;
use super::schema::{choice, named, object, text};
use crate::error::Code;

pub fn operations() -> Vec<Operation> {
    let web_socket = Operation::get(
        "/api/v1/ws",
        "openWebSocket",
        "Open a WebSocket",
        "Upgrades to a WebSocket (RFC 6455) that sends the board and the player's own awards, and on request other boards. \
            `/asyncapi.json` documents the messages. \
            Browsers send the login as the sub-protocols `laurel.v1, bearer.<jwt>`.",
    );
    let stream = Operation::get(
        "/api/v1/leaderboard/stream",
        "streamEvents",
        "Stream server-sent events",
        "Sends the board and every change of it, the boards that `board` names and, with a login, the player's own awards and \
            entries. `/asyncapi.json` documents the events. They \
            are named: use `addEventListener('leaderboard_updated', …)`, because `onmessage` never fires. A login is required if \
            `live.public_stream` is off.",
    );
    let poll = Operation::get(
        "/socket.io/",
        "pollSocketIo",
        "Open or poll a Socket.IO session",
        "Socket.IO 5 over Engine.IO 4. Without `sid` it opens a session. With `sid` it waits for packets or upgrades to a WebSocket.",
    );
    let send = Operation::post(
        "/socket.io/",
        "sendSocketIo",
        "Send Socket.IO packets",
        "Sends packets over an open polling session.",
    );
    vec![
        web_socket
            .realtime_login(true)
            .bare_answer(101, "The socket is open")
            .refused(&[Code::ValidationError])
            .answer_header(400, "Sec-WebSocket-Version", "WebSocketVersion"),
        stream
            .realtime_login(false)
            .optional_parameter("board", json!({ "type": "array", "maxItems": 8, "items": { "type": "string" }, "description": "Boards to subscribe to, such as `board=weekly&board=weekly@DE`" }))
            .refused(&[Code::BoardNotFound])
            .answer_as(200, "Events, until the connection closes", "text/event-stream", text("Events"))
            .answer_header(200, "Cache-Control", "CacheControl"),
        socketio(poll)
            .optional_parameter("sid", text("The session id; omit it to open a session"))
            .answer_as(200, "Packets of Engine.IO 4", "text/plain", text("Packets, joined by U+001E"))
            .bare_answer(101, "The socket is open"),
        socketio(send)
            .query_parameter("sid", text("The session id"), "0d7e5d0c8a2f4b6f9d0c1e2f3a4b5c6d")
            .plain_body("Packets of Engine.IO 4, joined by U+001E", "40{\"token\":\"<jwt>\"}")
            .answer_as(200, "The packets were accepted", "text/plain", text("`ok`")),
    ]
}

fn socketio(operation: Operation) -> Operation {
    operation
        .query_parameter("EIO", choice("Engine.IO version", &["4"]), "4")
        .query_parameter("transport", choice("Transport", &["polling", "websocket"]), "polling")
        .answer(400, "An error of the Engine.IO protocol", wrong())
        .refused(&[Code::Forbidden, Code::RateLimitExceeded])
}

fn wrong() -> Value {
    let code = json!({ "type": "integer", "enum": [0, 1, 2, 3, 5] });
    named("EngineIoError", object(&[("code", code), ("message", text("Error message"))]))
}
