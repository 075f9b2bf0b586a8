//! Those who listen: `/api/v1/ws`, `/api/v1/leaderboard/stream`, `/socket.io/`. What is said over them is in `asyncapi/`.

use serde_json::{Value, json};

use super::operation::Operation;
use super::schema::{object, one_of, text};
use crate::error::Code;

pub fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/api/v1/ws", "openWebSocket", "A WebSocket (RFC 6455)")
            .about("The login may also come as the sub-protocols `laurel.v1, bearer.<jwt>`.")
            .login_of_a_listener(true)
            .bare_answer(101, "The socket is open")
            .refused(&[Code::ValidationError])
            .answer_header(400, "Sec-WebSocket-Version", "WebSocketVersion"),
        Operation::get("/api/v1/leaderboard/stream", "streamEvents", "Server-sent events")
            .about("Events are named: hear them by `addEventListener('leaderboard_updated', …)`, `onmessage` never fires. A login is only needed for one's own news, unless `live.spectators` is off.")
            .login_of_a_listener(false)
            .answer_as(200, "Events for as long as somebody reads", "text/event-stream", text("Events"))
            .answer_header(200, "Cache-Control", "CacheControl"),
        socketio(Operation::get("/socket.io/", "pollSocketIo", "Socket.IO 5: open, poll, or a WebSocket"))
            .answer_as(200, "Packets of Engine.IO 4", "text/plain", text("Packets, joined"))
            .bare_answer(101, "The socket is open"),
        socketio(Operation::post("/socket.io/", "sendSocketIo", "Socket.IO 5: send"))
            .plain_body("Packets of Engine.IO 4, joined")
            .answer_as(200, "They are taken", "text/plain", text("`ok`")),
    ]
}

fn socketio(operation: Operation) -> Operation {
    let sid = text("The session; none to open one");
    operation
        .parameter("query", "EIO", true, json!({ "const": "4" }))
        .parameter("query", "transport", true, one_of(&["polling", "websocket"]))
        .parameter("query", "sid", false, sid)
        .answer(400, "What Engine.IO's clients know", wrong())
        .refused(&[Code::Forbidden, Code::RateLimitExceeded])
}

fn wrong() -> Value {
    object(&[("code", json!({ "enum": [0, 1, 2, 3, 5] })), ("message", text("What is wrong"))])
}
