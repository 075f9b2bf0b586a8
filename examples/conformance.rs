//! The echo server that the official Engine.IO and Socket.IO test suites and Autobahn expect, on Laurel's protocol code: `cargo run --example conformance -- --port P`.
//!
//! Engine.IO at `/engine.io/`, Socket.IO at `/socket.io/`, a plain WebSocket echo at `/echo`.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use clap::Parser;
use laurel::live::engineio::{self, Engine, Message, Settings, Socket, Wire};
use laurel::live::socketio::{ClientPacket, Connection, Kind, Packet};
use laurel::live::websocket::{self, MessageLimits, ReadOutcome, Upgrade};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message as WebSocketMessage;

#[derive(Parser)]
struct Arguments {
    #[arg(long, default_value_t = 3000)]
    port: u16,
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let settings = Settings {
        ping_interval: Duration::from_millis(300),
        ping_timeout: Duration::from_millis(200),
        max_payload: 1_000_000,
        max_frames: usize::MAX,
        max_messages_per_second: 0,
        compression: false,
        write_timeout: Duration::from_secs(10),
        sid_prefix: String::new(),
    };
    let app = Router::new()
        .merge(engineio::routes("/engine.io/", Engine::new(settings.clone(), echo)))
        .merge(engineio::routes(
            "/socket.io/",
            Engine::new(settings, |socket| namespaces(Connection::new(socket))),
        ))
        .route("/echo", any(plain_echo));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", Arguments::parse().port)).await?;
    println!("conformance on http://{}", listener.local_addr()?);
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await
}

/// Engine.IO: sends every message back.
async fn echo(mut socket: Socket) {
    while let Some(message) = socket.next().await {
        socket.send(match message {
            Message::Text(text) => Wire::text(format!("4{text}")),
            Message::Binary(bytes) => Wire::Binary(bytes),
        });
    }
}

/// Socket.IO: two namespaces, which send the handshake's auth and echo events.
async fn namespaces(mut connection: Connection) {
    let mut joined = HashSet::new();
    loop {
        let packet = match joined.is_empty() {
            true => connection.next_within(Duration::from_secs(1)).await,
            false => connection.next().await,
        };
        match packet {
            Some(ClientPacket::Connect { namespace, auth }) if namespace == "/" || namespace == "/custom" => {
                connection.accept(&namespace, &uuid::Uuid::new_v4().to_string());
                connection
                    .send(&Packet::new(Kind::Event, &namespace, Some(json!(["auth", auth]))), Vec::new());
                joined.insert(namespace);
            }
            Some(ClientPacket::Connect { namespace, .. }) => {
                connection.refuse(&namespace, json!({ "message": "Invalid namespace" }));
            }
            Some(ClientPacket::Disconnect { namespace }) => {
                joined.remove(&namespace);
            }
            Some(ClientPacket::Event { namespace, ack, arguments, attachments })
                if joined.contains(&namespace) =>
            {
                answer(&connection, &namespace, ack, arguments, attachments);
            }
            Some(ClientPacket::Event { .. }) | None => return,
        }
    }
}

fn answer(
    connection: &Connection,
    namespace: &str,
    ack: Option<u64>,
    mut arguments: Vec<Value>,
    attachments: Vec<Bytes>,
) {
    let name = arguments.remove(0);
    let (kind, binary_kind, data) = match name.as_str() {
        Some("message") => {
            arguments.insert(0, json!("message-back"));
            (Kind::Event, Kind::BinaryEvent, arguments)
        }
        Some("message-with-ack") => (Kind::Ack, Kind::BinaryAck, arguments),
        _ => return,
    };
    let kind = if attachments.is_empty() { kind } else { binary_kind };
    let ack = ack.filter(|_| matches!(kind, Kind::Ack | Kind::BinaryAck));
    let packet = Packet {
        kind,
        attachments: attachments.len(),
        namespace: namespace.to_owned(),
        ack,
        data: Some(Value::Array(data)),
    };
    connection.send(&packet, attachments);
}

async fn plain_echo(upgrade: Option<Upgrade>) -> Response {
    let Some(upgrade) = upgrade else { return StatusCode::BAD_REQUEST.into_response() };
    upgrade.accept(
        MessageLimits { max_message_bytes: 64 << 20, max_frames: usize::MAX, compression: false },
        async |mut socket| {
            let mut replies = Vec::new();
            loop {
                let outcome = socket.next(&mut replies).await;
                match &outcome {
                    ReadOutcome::Message(WebSocketMessage::Text(text)) => {
                        replies.extend_from_slice(&websocket::text(text.clone()))
                    }
                    ReadOutcome::Message(WebSocketMessage::Binary(bytes)) => {
                        replies.extend_from_slice(&websocket::binary(bytes.clone()));
                    }
                    ReadOutcome::ProtocolError(code) => {
                        replies.extend_from_slice(&websocket::close(Some((*code, ""))))
                    }
                    ReadOutcome::Message(_) | ReadOutcome::Disconnected => {}
                }
                if socket.write(&replies).await.is_err()
                    || matches!(outcome, ReadOutcome::Disconnected | ReadOutcome::ProtocolError(_))
                {
                    return;
                }
                replies.clear();
            }
        },
    )
}
