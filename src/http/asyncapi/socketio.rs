//! The packets of Engine.IO 4 and Socket.IO 5 that carry the events. The official client knows them; they are here for those
//! who write one.

use serde_json::{Value, json};

use super::message::Message;
use super::schema::{list, object, one_of, text, whole};
use crate::error::Code;

/// What a node says beside the events.
pub fn told() -> Vec<Message> {
    vec![
        Message::new("open", "open", "0{payload}", "A session is open: the first packet").payload(
            object(&[
                ("sid", text("The session, for the `sid` of what follows")),
                ("upgrades", list(one_of(&["websocket"]))),
                ("pingInterval", whole("Ms between two pings")),
                ("pingTimeout", whole("Ms that a pong may take")),
                ("maxPayload", whole("Bytes that a message or a body may have")),
            ]),
            json!({
                "sid": "0d7e5d0c8a2f4b6f9d0c1e2f3a4b5c6d",
                "upgrades": ["websocket"],
                "pingInterval": 25_000,
                "pingTimeout": 20_000,
                "maxPayload": 16_384,
            }),
        ),
        Message::new("connected", "connect", "40{payload}", "The login is good; the events follow").payload(
            object(&[("sid", text("The connection's id"))]),
            json!({ "sid": "5f2c4e6a8b0d4c1e9f3a7b5d2e8c6a40" }),
        ),
        refused(),
        Message::new(
            "disconnected",
            "disconnect",
            "41",
            "The end for good: a ban, or a login that has run out",
        ),
        Message::new("ping", "ping", "2", "Is answered by `pong` within `pingTimeout`"),
        Message::new("probed", "pong", "3probe", "The WebSocket that was tried works"),
        Message::new("noop", "noop", "6", "Ends a poll, so that the session can move to its WebSocket"),
        Message::new("closed", "close", "1", "The session has ended: the answer to its last poll"),
    ]
}

fn refused() -> Message {
    let codes: Vec<&str> = [Code::InvalidToken, Code::Forbidden].map(|it| it.as_str()).into();
    let schema = object(&[
        ("message", one_of(&["Authentication failed", "Invalid namespace"])),
        ("data?", object(&[("code", one_of(&codes))])),
    ]);
    Message::new("connectError", "connect_error", "44{payload}", "The login is bad; another may be tried")
        .about("Only for bad logins: overload is a 503 before the handshake, since a client does not come back after this.")
        .payload(schema, json!({ "message": "Authentication failed", "data": { "code": "INVALID_TOKEN" } }))
}

/// What a client says. Its events are let pass, unheeded.
pub fn heard() -> Vec<Message> {
    let token = text("The JWT, with or without `Bearer `");
    let login: Value = json!({ "token": "<jwt>" });
    vec![
        Message::new("connect", "connect", "40{payload}", "The login, by which the client joins")
            .about("The official client: `io(url, { auth: { token } })`.")
            .payload(object(&[("token", token)]), login),
        Message::new("pong", "pong", "3", "The answer to `ping`"),
        Message::new("probe", "ping", "2probe", "Over a new WebSocket: tries it, while polls go on"),
        Message::new("upgrade", "upgrade", "5", "From here on the WebSocket carries the session"),
        Message::new("disconnect", "disconnect", "41", "The client leaves"),
        Message::new("close", "close", "1", "The client ends its session"),
    ]
}
