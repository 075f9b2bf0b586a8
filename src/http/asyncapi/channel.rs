//! The three ways to listen: `/api/v1/ws`, `/api/v1/leaderboard/stream`, `/socket.io/`.

use serde_json::{Map, Value, json};

use super::message::Message;
use super::schema::{object, one_of, text};
use super::{ends, events, socketio};

/// A channel.
pub struct Channel {
    /// Its name in the document.
    pub key: &'static str,
    address: &'static str,
    title: &'static str,
    about: &'static str,
    servers: &'static [&'static str],
    /// Ways to log in, one of which is enough.
    security: &'static [&'static str],
    bindings: Value,
    told: Vec<Message>,
    heard: Vec<Message>,
    ends: Value,
}

/// `/api/v1/ws`
pub fn web_socket() -> Channel {
    const PING: &str = r#"{"event":"ping"}"#;
    let anything = json!({ "type": "string", "description": "Anything else", "not": { "const": PING } });
    let said = Message::new("said", "anything", "{payload}", "Is let pass, unheeded: a client only listens")
        .about("At most 4 KiB a message, and 100 messages a second.")
        .payload(anything, "hello".into())
        .plain_text();
    let ping = Message::new("ping", "ping", PING, "Asks for a sign of life: the node answers `pong`")
        .about("For pages, to which browsers do not show the WebSocket protocol's own pings.");
    let mut told = events::plain(|_| "{payload}".to_owned());
    told.push(Message::new("pong", "pong", r#"{"event":"pong"}"#, "The answer to `ping`"));
    Channel {
        key: "webSocket",
        address: "/api/v1/ws",
        title: "WebSocket",
        about: "For games: one JSON object a text frame (RFC 6455). A login is needed. The node pings every `live.ping_seconds`.",
        servers: &["sockets"],
        security: &["bearer", "subProtocol", "accessToken"],
        bindings: upgrade(
            object(&[("access_token?", text("The login"))]),
            object(&[
                ("Authorization?", text("`Bearer <jwt>`")),
                ("Sec-WebSocket-Protocol?", text("`laurel.v1, bearer.<jwt>`")),
            ]),
        ),
        told,
        heard: vec![ping, said],
        ends: ends::web_socket(),
    }
}

/// `/api/v1/leaderboard/stream`
pub fn stream() -> Channel {
    let mut told = events::plain(|name| format!("event: {name}\ndata: {{payload}}\n\n"));
    told.push(Message::new("beat", "comment", ":\n\n", "Keeps the connection; readers do not see it"));
    let retry = json!({ "type": "integer", "minimum": 200, "maximum": 60_000, "description": "Ms" });
    told.push(
        Message::new("retry", "retry", "retry: {payload}\n\n", "The last words: when to come back")
            .payload(retry, 742.into()),
    );
    Channel {
        key: "stream",
        address: "/api/v1/leaderboard/stream",
        title: "Server-sent events",
        about: "For pages and screens that only watch: `new EventSource(url)` and `addEventListener('leaderboard_updated', …)`. \
            Events are named, so `onmessage` never fires; their `data` is the WebSocket's object. \
            A login is only needed for one's own news; a spectator is told boards and status alone.",
        servers: &["http"],
        security: &["bearer", "accessToken"],
        bindings: json!({}),
        told,
        heard: Vec::new(),
        ends: ends::stream(),
    }
}

/// `/socket.io/`
pub fn socket_io() -> Channel {
    let mut told = events::game_api();
    told.extend(socketio::told());
    Channel {
        key: "socketIo",
        address: "/socket.io/",
        title: "Socket.IO 5",
        about: "For games that have its client, unchanged: over a WebSocket, or polling first (Engine.IO 4; packets of a poll \
            are joined by U+001E). A login is needed, in the `connect` packet.",
        servers: &["sockets", "http"],
        security: &[],
        bindings: upgrade(
            object(&[
                ("EIO", json!({ "const": "4" })),
                ("transport", one_of(&["polling", "websocket"])),
                ("sid?", text("The session; none to open one")),
            ]),
            object(&[]),
        ),
        told,
        heard: socketio::heard(),
        ends: ends::socket_io(),
    }
}

fn upgrade(query: Value, headers: Value) -> Value {
    json!({ "ws": { "method": "GET", "query": query, "headers": headers, "bindingVersion": "0.1.0" } })
}

impl Channel {
    /// What the node does there: it tells, and it hears.
    pub fn operations(&self) -> Vec<(String, Value)> {
        let one = |verb: &str, action: &str, summary: &str, messages: &[Message]| {
            let messages: Value =
                messages.iter().map(|it| self.reference(&format!("/messages/{}", it.key))).collect();
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
        let mut operations = vec![one("tell", "send", "What a node says", &self.told)];
        if !self.heard.is_empty() {
            operations.push(one("hear", "receive", "What a client says", &self.heard));
        }
        operations
    }

    fn reference(&self, below: &str) -> Value {
        json!({ "$ref": format!("#/channels/{}{below}", self.key) })
    }

    /// The channel as it stands in the document.
    pub fn build(self) -> Value {
        let messages: Map<_, _> =
            self.told.iter().chain(&self.heard).map(|it| (it.key.to_owned(), it.build())).collect();
        let server = |it: &&str| json!({ "$ref": format!("#/servers/{it}") });
        json!({
            "address": self.address,
            "title": self.title,
            "description": self.about,
            "servers": self.servers.iter().map(server).collect::<Value>(),
            "messages": messages,
            "bindings": self.bindings,
            "x-ends": self.ends,
        })
    }
}
