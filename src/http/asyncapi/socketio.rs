//! The packets of Engine.IO 4 and Socket.IO 5. The official client handles them; the document has them for authors of other clients.

use serde_json::{Value, json};

use super::channel::Message;
use super::events;
use super::schema::{integer, list, object, one_of, text};
use crate::error::Code;

/// Packets of a node that are not events.
pub fn sent() -> Vec<Message> {
    vec![
        Message::new("open", "open", "0{payload}", "Opens the session: the first packet").payload(
            object(&[
                ("sid", text("The session id: send it as `sid` from now on")),
                ("upgrades", list(one_of(&["websocket"]))),
                ("pingInterval", integer("Interval of pings in ms")),
                ("pingTimeout", integer("Time limit for a pong in ms")),
                ("maxPayload", integer("Maximum size of a message or body in bytes")),
            ]),
            json!({
                "sid": "0d7e5d0c8a2f4b6f9d0c1e2f3a4b5c6d",
                "upgrades": ["websocket"],
                "pingInterval": 25_000,
                "pingTimeout": 20_000,
                "maxPayload": 16_384,
            }),
        ),
        Message::new("connected", "connect", "40{payload}", "The login was accepted; events follow").payload(
            object(&[("sid", text("The connection's id"))]),
            json!({ "sid": "5f2c4e6a8b0d4c1e9f3a7b5d2e8c6a40" }),
        ),
        refused(),
        Message::new(
            "acknowledged",
            "acknowledgment",
            "430[{payload}]",
            "Reply to `board:subscribe` or `board:unsubscribe`",
        )
        .about("The number after `43` is that of the request; 0 here.")
        .payload(events::board_answer(), events::board_answer_example()),
        Message::new(
            "disconnected",
            "disconnect",
            "41",
            "The user is banned or the login expired: do not reconnect with this login",
        ),
        Message::new("ping", "ping", "2", "Heartbeat: reply with `pong` within `pingTimeout`"),
        Message::new("probed", "pong", "3probe", "Reply to `probe`: the WebSocket works"),
        Message::new("noop", "noop", "6", "Ends a poll, so that the session can switch to its WebSocket"),
        Message::new("closed", "close", "1", "The session has ended: the response to its last poll"),
    ]
}

fn refused() -> Message {
    let codes: Vec<&str> = [Code::InvalidToken, Code::Forbidden].map(|it| it.as_str()).into();
    let schema = object(&[
        ("message", one_of(&["Authentication failed", "Invalid namespace"])),
        ("data?", object(&[("code", one_of(&codes))])),
    ]);
    Message::new("connectError", "connect_error", "44{payload}", "The login was refused; send another one")
        .about("For refused logins only. Overload is a 503 before the handshake, because clients do not reconnect after this packet.")
        .payload(schema, json!({ "message": "Authentication failed", "data": { "code": "INVALID_TOKEN" } }))
}

/// Packets of a client. Other events from a client are ignored.
pub fn received() -> Vec<Message> {
    let token = text("The JWT, with or without `Bearer `");
    let login: Value = json!({ "token": "<jwt>" });
    vec![
        Message::new("connect", "connect", "40{payload}", "Sends the login")
            .about("The official client: `io(url, { auth: { token } })`.")
            .payload(object(&[("token", token)]), login),
        request(
            "subscribe",
            "board:subscribe",
            "420[\"board:subscribe\",{payload}]",
            "Subscribes to boards, at most 8 per connection",
        ),
        request(
            "unsubscribe",
            "board:unsubscribe",
            "420[\"board:unsubscribe\",{payload}]",
            "Ends subscriptions",
        ),
        Message::new("pong", "pong", "3", "Reply to `ping`"),
        Message::new("probe", "ping", "2probe", "Tests a new WebSocket, while polling continues"),
        Message::new("upgrade", "upgrade", "5", "Switches the session to the WebSocket"),
        Message::new("disconnect", "disconnect", "41", "The client disconnects"),
        Message::new("close", "close", "1", "The client ends its session"),
    ]
}

fn request(key: &'static str, event: &str, wire: &str, summary: &str) -> Message {
    Message::new(key, event, wire, summary)
        .about("With an acknowledgment: the number after `42` is the client's, 0 here. `socket.emit(event, data, answer => …)`.")
        .payload(events::board_request(), json!({ "boards": ["weekly", "weekly@DE"] }))
}
