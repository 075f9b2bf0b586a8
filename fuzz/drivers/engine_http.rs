//! Random polling requests to an Engine.IO engine.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use axum::http::Method;
use laurel::live::engineio::{Engine, Message, Query, Socket, Wire};
use serde_json::{Value, json};

use super::Input;
use super::engine::{peer, runtime, settings};

/// Counts a handler while it runs.
struct HandlerCount(Arc<AtomicUsize>);

impl Drop for HandlerCount {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Sends each message back, until `bye`.
async fn echo(mut socket: Socket, _count: HandlerCount) {
    while let Some(message) = socket.next().await {
        match message {
            Message::Text(text) if text == "bye" => return,
            Message::Text(text) => socket.send(Wire::text(format!("4{text}"))),
            Message::Binary(bytes) => socket.send(Wire::Binary(bytes)),
        }
    }
}

/// An engine, its sessions, and the number of running handlers.
struct TestEngine {
    engine: Arc<Engine>,
    sids: Vec<String>,
    handlers: Arc<AtomicUsize>,
}

impl TestEngine {
    /// Sends a request. `None` if the response takes too long: then the client cancels the request.
    async fn send(&mut self, method: Method, query: Value, body: &[u8]) -> Option<(u16, String)> {
        let query: Query = serde_json::from_value(query).unwrap();
        let is_new = query.is_new();
        let response = self.engine.serve(&method, &query, None, body.to_vec().into(), peer());
        let mut response = std::pin::pin!(response);
        for _ in 0..100 {
            if let Poll::Ready(response) = futures::poll!(response.as_mut()) {
                let status = response.status().as_u16();
                assert!([200, 400].contains(&status));
                let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
                let text = String::from_utf8(body.to_vec()).unwrap();
                if is_new && status == 200 {
                    let packet: Value = serde_json::from_str(text.strip_prefix('0').unwrap()).unwrap();
                    assert_eq!(packet.as_object().unwrap().len(), 5);
                    self.sids.push(packet["sid"].as_str().unwrap().to_owned());
                }
                return Some((status, text));
            }
            tokio::task::yield_now().await;
        }
        None
    }

    async fn run_tasks(&self) {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }
}

pub fn http(data: &[u8]) {
    runtime().block_on(async {
        let handlers = Arc::new(AtomicUsize::new(0));
        let count = handlers.clone();
        let engine = Engine::new(settings(), move |socket| {
            count.fetch_add(1, Ordering::Relaxed);
            echo(socket, HandlerCount(count.clone()))
        });
        let mut test = TestEngine { engine, sids: Vec::new(), handlers };
        let mut input = Input(data);
        while !input.is_empty() && test.sids.len() < 8 {
            step(&mut test, &mut input).await;
        }
        // The session of a leaving client is removed.
        for sid in test.sids.clone() {
            let query = json!({ "EIO": "4", "transport": "polling", "sid": sid });
            let _ = test.send(Method::POST, query.clone(), b"1").await;
            let _ = test.send(Method::GET, query.clone(), b"").await;
            test.run_tasks().await;
            let (status, text) =
                test.send(Method::GET, query, b"").await.expect("the session was not removed");
            assert_eq!((status, text.as_str()), (400, "{\"code\":1,\"message\":\"Session ID unknown\"}"));
        }
        assert_eq!(test.handlers.load(Ordering::Relaxed), 0, "a handler outlives its session");
    });
}

/// One request, or a pause in which the tasks run.
async fn step(test: &mut TestEngine, input: &mut Input<'_>) {
    let (choice, session) = (input.byte(), input.byte());
    let sid = match test.sids.get(usize::from(session % 9)) {
        Some(sid) => Value::from(sid.as_str()),
        None if session % 2 == 0 => Value::Null,
        None => Value::from("unknown"),
    };
    let version = if choice & 64 == 0 { json!("4") } else { json!("3") };
    let transport = ["polling", "polling", "polling", "websocket", "polling", "carrier pigeon"]
        [usize::from(choice >> 3) % 6];
    let query = json!({ "EIO": version, "transport": transport, "sid": sid });
    match choice % 8 {
        0 => drop(test.send(Method::GET, json!({ "EIO": "4", "transport": "polling" }), b"").await),
        1 | 2 => {
            let length = usize::from(input.byte());
            let body = input.take(length);
            let repeated = body.repeat(if choice & 128 == 0 { 1 } else { 9 });
            let _ = test.send(Method::POST, query, &repeated).await;
        }
        3 => drop(test.send(Method::PUT, query, b"").await),
        4 => test.run_tasks().await,
        _ => drop(test.send(Method::GET, query, b"").await),
    }
}
