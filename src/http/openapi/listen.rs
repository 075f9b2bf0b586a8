//! Those who listen: `/api/v1/ws`, `/api/v1/leaderboard/stream`, `/socket.io/`. What is said over them is in `asyncapi/`.

use serde_json::{Value, json};

use super::operation::Operation;
use super::schema::{choice, named, object, text};
use crate::error::Code;

pub fn operations() -> Vec<Operation> {
    let web_socket = Operation::get(
        "/api/v1/ws",
        "openWebSocket",
        "Open a WebSocket",
        "Upgrades to a WebSocket (RFC 6455) that carries the board and the player's own awards; `/asyncapi.json` has the messages. \
            The login may also come as the sub-protocols `laurel.v1, bearer.<jwt>`.",
    );
    let stream = Operation::get(
        "/api/v1/leaderboard/stream",
        "streamEvents",
        "Stream server-sent events",
        "Sends the board and each change of it, and the player's own awards with a login; `/asyncapi.json` has the events. They are \
            named: listen with `addEventListener('leaderboard_updated', …)`, since `onmessage` never fires. Without \
            `live.public_stream` a login is required.",
    );
    let poll = Operation::get(
        "/socket.io/",
        "pollSocketIo",
        "Open or poll a Socket.IO session",
        "Socket.IO 5 over Engine.IO 4: without `sid` it opens a session, with `sid` it waits for packets or upgrades to a WebSocket.",
    );
    let send = Operation::post(
        "/socket.io/",
        "sendSocketIo",
        "Send Socket.IO packets",
        "Takes packets of an open polling session.",
    );
    vec![
        web_socket
            .login_of_a_listener(true)
            .bare_answer(101, "The socket is open")
            .refused(&[Code::ValidationError])
            .answer_header(400, "Sec-WebSocket-Version", "WebSocketVersion"),
        stream
            .login_of_a_listener(false)
            .answer_as(200, "Events for as long as somebody reads", "text/event-stream", text("Events"))
            .answer_header(200, "Cache-Control", "CacheControl"),
        socketio(poll)
            .optional_parameter("sid", text("The session; none to open one"))
            .answer_as(200, "Packets of Engine.IO 4", "text/plain", text("Packets, joined"))
            .bare_answer(101, "The socket is open"),
        socketio(send)
            .query_parameter("sid", text("The session"), "0d7e5d0c8a2f4b6f9d0c1e2f3a4b5c6d")
            .plain_body("Packets of Engine.IO 4, joined", "40{\"token\":\"<jwt>\"}")
            .answer_as(200, "They are taken", "text/plain", text("`ok`")),
    ]
}

fn socketio(operation: Operation) -> Operation {
    operation
        .query_parameter("EIO", choice("The version of Engine.IO", &["4"]), "4")
        .query_parameter("transport", choice("How packets travel", &["polling", "websocket"]), "polling")
        .answer(400, "What Engine.IO's clients know", wrong())
        .refused(&[Code::Forbidden, Code::RateLimitExceeded])
}

fn wrong() -> Value {
    let code = json!({ "type": "integer", "enum": [0, 1, 2, 3, 5] });
    named("EngineIoError", object(&[("code", code), ("message", text("What is wrong"))]))
}
