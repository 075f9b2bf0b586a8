//! The three channels, `/api/v1/ws`, `/api/v1/leaderboard/stream` and `/socket.io/`, with their messages and the ways they close.

use serde_json::{Map, Value, json};

use super::schema::{object, one_of, text};
use super::{events, socketio};
use crate::live::CloseReason;

/// A channel.
pub struct Channel {
    /// Name in the document.
    pub key: &'static str,
    address: &'static str,
    title: &'static str,
    about: &'static str,
    servers: &'static [&'static str],
    /// Alternative security schemes.
    security: &'static [&'static str],
    bindings: Value,
    sent: Vec<Message>,
    received: Vec<Message>,
    closes: Value,
}

/// `/api/v1/ws`
pub fn web_socket() -> Channel {
    const PING: &str = r#"{"event":"ping"}"#;
    const REQUEST: &str = "^\\{\"event\":\"(un)?subscribe\"";
    let known = json!([{ "const": PING }, { "pattern": REQUEST }]);
    let anything = json!({ "type": "string", "description": "Anything else", "not": { "anyOf": known } });
    let other = Message::new("other", "anything", "{payload}", "Ignored")
        .about("At most 4 KiB per message and 100 messages per second.")
        .payload(anything, "hello".into())
        .plain_text();
    let ping = Message::new("ping", "ping", PING, "Checks the connection: the node replies with `pong`")
        .about("For pages, because browsers do not expose the pings of the WebSocket protocol.");
    let mut sent = events::plain(|_| "{payload}".to_owned());
    sent.push(Message::new("pong", "pong", r#"{"event":"pong"}"#, "Reply to `ping`"));
    sent.push(web_socket_answer("subscribed", "Reply to `subscribe`"));
    sent.push(web_socket_answer("unsubscribed", "Reply to `unsubscribe`"));
    Channel {
        key: "webSocket",
        address: "/api/v1/ws",
        title: "WebSocket",
        about: "For games: one JSON object per text frame (RFC 6455). A login is required. The node pings every `live.ping_seconds`.",
        servers: &["sockets"],
        security: &["bearer", "subProtocol", "accessToken"],
        bindings: upgrade(
            object(&[("access_token?", text("The login JWT"))]),
            object(&[
                ("Authorization?", text("`Bearer <jwt>`")),
                ("Sec-WebSocket-Protocol?", text("`laurel.v1, bearer.<jwt>`")),
            ]),
        ),
        sent,
        received: vec![
            ping,
            web_socket_request("subscribe", "Subscribes to boards, at most 8 per connection")
                .about("`weekly@DE` is the board of one value of the tag that `weekly` is split by."),
            web_socket_request("unsubscribe", "Ends subscriptions"),
            other,
        ],
        closes: web_socket_closes(),
    }
}

fn web_socket_request(event: &'static str, summary: &str) -> Message {
    let object = object(&[("event", json!({ "const": event })), ("data", events::board_request())]);
    let example = json!({ "event": event, "data": { "boards": ["weekly", "weekly@DE"] } });
    Message::new(event, event, PAYLOAD, summary).payload(object, example)
}

fn web_socket_answer(event: &'static str, summary: &str) -> Message {
    let object = object(&[("event", json!({ "const": event })), ("data", events::board_answer())]);
    let example = json!({ "event": event, "data": events::board_answer_example() });
    Message::new(event, event, PAYLOAD, summary).payload(object, example)
}

/// `/api/v1/leaderboard/stream`
pub fn stream() -> Channel {
    let mut sent = events::plain(|name| format!("event: {name}\ndata: {{payload}}\n\n"));
    sent.push(Message::new(
        "heartbeat",
        "comment",
        ":\n\n",
        "Keeps the connection open; `EventSource` hides it",
    ));
    let retry =
        json!({ "type": "integer", "minimum": 200, "maximum": 60_000, "description": "Milliseconds" });
    sent.push(
        Message::new("retry", "retry", "retry: {payload}\n\n", "Last message: delay before a reconnect")
            .payload(retry, 742.into()),
    );
    Channel {
        key: "stream",
        address: "/api/v1/leaderboard/stream",
        title: "Server-sent events",
        about: "For pages and screens without a player: `new EventSource(url)` and `addEventListener('leaderboard_updated', …)`. \
            Events are named, so `onmessage` never fires. Their `data` is the object of the WebSocket. \
            `?board=weekly&board=daily` subscribes to boards, at most 8. \
            A login is needed only for the player's own awards and entries; without one, `score_personal` and `board_personal` are not sent.",
        servers: &["http"],
        security: &["bearer", "accessToken"],
        bindings: json!({}),
        sent,
        received: Vec::new(),
        closes: stream_closes(),
    }
}

/// `/socket.io/`
pub fn socket_io() -> Channel {
    let mut sent = events::game_api();
    sent.extend(socketio::sent());
    Channel {
        key: "socketIo",
        address: "/socket.io/",
        title: "Socket.IO 5",
        about: "For games with the official Socket.IO client: over a WebSocket, or polling first (Engine.IO 4; packets of a poll \
            are joined by U+001E). The login is required in the `connect` packet.",
        servers: &["sockets", "http"],
        security: &[],
        bindings: upgrade(
            object(&[
                ("EIO", json!({ "const": "4" })),
                ("transport", one_of(&["polling", "websocket"])),
                ("sid?", text("The session id; omit it to open a session")),
            ]),
            object(&[]),
        ),
        sent,
        received: socketio::received(),
        closes: socket_io_closes(),
    }
}

fn upgrade(query: Value, headers: Value) -> Value {
    json!({ "ws": { "method": "GET", "query": query, "headers": headers, "bindingVersion": "0.1.0" } })
}

impl Channel {
    /// The operations: the node sends, and unless the channel is one-way, it receives.
    pub fn operations(&self) -> Vec<(String, Value)> {
        let one = |verb: &str, action: &str, summary: &str, messages: &[Message]| {
            let messages: Value = messages
                .iter()
                .map(|message| self.reference(&format!("/messages/{}", message.key)))
                .collect();
            let mut operation = json!({
                "action": action,
                "channel": self.reference(""),
                "summary": summary,
                "messages": messages,
            });
            if !self.security.is_empty() {
                let named = |it: &&str| json!({ "$ref": format!("#/components/securitySchemes/{it}") });
                operation["security"] = self.security.iter().map(named).collect();
            }
            (format!("{verb}{}{}", self.key[..1].to_uppercase(), &self.key[1..]), operation)
        };
        let mut operations = vec![one("send", "send", "Server messages", &self.sent)];
        if !self.received.is_empty() {
            operations.push(one("receive", "receive", "Client messages", &self.received));
        }
        operations
    }

    fn reference(&self, below: &str) -> Value {
        json!({ "$ref": format!("#/channels/{}{below}", self.key) })
    }

    /// The channel object of the document.
    pub fn build(self) -> Value {
        let messages: Map<_, _> = self
            .sent
            .iter()
            .chain(&self.received)
            .map(|message| (message.key.to_owned(), message.build()))
            .collect();
        let server = |it: &&str| json!({ "$ref": format!("#/servers/{it}") });
        json!({
            "address": self.address,
            "title": self.title,
            "description": self.about,
            "servers": self.servers.iter().map(server).collect::<Value>(),
            "messages": messages,
            "bindings": self.bindings,
            "x-closes": self.closes,
        })
    }
}

/// Placeholder of the payload in `x-wire`.
const PAYLOAD: &str = "{payload}";

/// A message.
pub struct Message {
    /// Name in the document, unique within the channel.
    pub key: &'static str,
    about: Value,
}

impl Message {
    /// A message with this text on the wire. `{payload}` stands for the payload.
    pub fn new(key: &'static str, name: &str, wire: &str, summary: &str) -> Self {
        Self { key, about: json!({ "name": name, "summary": summary, "x-wire": wire }) }
    }

    /// Sets the payload's schema and an example.
    pub fn payload(mut self, schema: Value, example: Value) -> Self {
        debug_assert!(self.about["x-wire"].as_str().is_some_and(|it| it.contains(PAYLOAD)));
        self.about["payload"] = schema;
        self.about["examples"] = json!([{ "payload": example }]);
        self
    }

    /// Marks the payload as plain text instead of JSON.
    pub fn plain_text(mut self) -> Self {
        self.about["contentType"] = "text/plain".into();
        self
    }

    /// Sets the description.
    pub fn about(mut self, about: &str) -> Self {
        self.about["description"] = about.into();
        self
    }

    /// The message object of the document.
    pub fn build(&self) -> Value {
        self.about.clone()
    }
}

/// The reasons for which the node closes a connection, and what a client should do then.
const CLOSES: [(CloseReason, &str, &str); 8] = [
    (
        CloseReason::Draining { retry_ms: 742 },
        "The node is shutting down",
        "Reconnect after this many ms: a random delay of 200 to 2000",
    ),
    (CloseReason::LoginExpired, "The login has expired", "Log in again"),
    (CloseReason::Banned, "The user is banned", "Do not reconnect"),
    (CloseReason::TooSlow, "The client read nothing for `live.write_timeout_ms`", "Reconnect"),
    (
        CloseReason::TooManyMessages,
        "The client sent more than 100 messages in a second",
        "Send fewer messages",
    ),
    (CloseReason::ProtocolError(1002), "Invalid frame", "Fix the client"),
    (CloseReason::ProtocolError(1007), "Text that is not UTF-8", "Fix the client"),
    (
        CloseReason::ProtocolError(1009),
        "A message of more than 4 KiB (Socket.IO: 16 KiB) or 64 frames",
        "Send smaller messages",
    ),
];

/// Close codes (RFC 6455, section 7.4) and reasons.
fn web_socket_closes() -> Value {
    closes(|reason| Some(json!({ "signal": "close frame", "code": reason.code(), "reason": reason.text() })))
}

/// The official client reconnects if the transport closes without a packet, and does not reconnect after packet `41`.
fn socket_io_closes() -> Value {
    closes(|reason| {
        Some(json!({ "signal": if reason.is_final() { "`41`" } else { "the transport closes" } }))
    })
}

/// A client of a stream sends no messages. One that is too slow does not receive a last event.
fn stream_closes() -> Value {
    closes(|reason| match reason {
        CloseReason::ProtocolError(_) | CloseReason::TooManyMessages => None,
        CloseReason::TooSlow => Some(json!({ "signal": "end of the stream" })),
        _ => Some(json!({ "signal": format!("`retry: {}`, then the end of the stream", reason.retry_ms()) })),
    })
}

fn closes(signal: impl Fn(&CloseReason) -> Option<Value>) -> Value {
    let entries = CLOSES.iter().filter_map(|(end, reason, client)| {
        let mut entry = signal(end)?;
        (entry["why"], entry["client"]) = ((*reason).into(), (*client).into());
        Some(entry)
    });
    entries.collect()
}
