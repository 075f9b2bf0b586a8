//! An engine of Engine.IO that is asked anything over polling.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use axum::http::Method;
use laurel::live::engineio::{Engine, Message, Query, Socket, Wire};
use serde_json::{Value, json};

use super::Input;
use super::engine::{guest, runtime, settings};

/// Counts an app for as long as its client's session lives.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Says what it hears, until it hears `bye`.
async fn echo(mut socket: Socket, _counted: Counted) {
    while let Some(message) = socket.next().await {
        match message {
            Message::Text(text) if text == "bye" => return,
            Message::Text(text) => socket.send(Wire::text(format!("4{text}"))),
            Message::Binary(bytes) => socket.send(Wire::Binary(bytes)),
        }
    }
}

/// An engine, its sessions, and how many apps live.
struct Asked {
    engine: Arc<Engine>,
    sids: Vec<String>,
    living: Arc<AtomicUsize>,
}

impl Asked {
    /// One request: its answer, or nothing if it waits and the client goes away.
    async fn ask(&mut self, method: Method, query: Value, body: &[u8]) -> Option<(u16, String)> {
        let query: Query = serde_json::from_value(query).unwrap();
        let is_new = query.is_new();
        let answer = self.engine.serve(&method, &query, None, body.to_vec().into(), guest());
        let mut answer = std::pin::pin!(answer);
        for _ in 0..100 {
            if let Poll::Ready(response) = futures::poll!(answer.as_mut()) {
                let status = response.status().as_u16();
                assert!([200, 400].contains(&status));
                let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
                let text = String::from_utf8(body.to_vec()).unwrap();
                if is_new && status == 200 {
                    let greeting: Value = serde_json::from_str(text.strip_prefix('0').unwrap()).unwrap();
                    assert_eq!(greeting.as_object().unwrap().len(), 5);
                    self.sids.push(greeting["sid"].as_str().unwrap().to_owned());
                }
                return Some((status, text));
            }
            tokio::task::yield_now().await;
        }
        None
    }

    async fn rest(&self) {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }
}

pub fn http(data: &[u8]) {
    runtime().block_on(async {
        let living = Arc::new(AtomicUsize::new(0));
        let count = living.clone();
        let engine = Engine::new(settings(), move |socket| {
            count.fetch_add(1, Ordering::Relaxed);
            echo(socket, Counted(count.clone()))
        });
        let mut asked = Asked { engine, sids: Vec::new(), living };
        let mut input = Input(data);
        while !input.is_empty() && asked.sids.len() < 8 {
            step(&mut asked, &mut input).await;
        }
        // Whatever was said, a client that leaves is forgotten.
        for sid in asked.sids.clone() {
            let query = json!({ "EIO": "4", "transport": "polling", "sid": sid });
            let _ = asked.ask(Method::POST, query.clone(), b"1").await;
            let _ = asked.ask(Method::GET, query.clone(), b"").await;
            asked.rest().await;
            let (status, text) = asked.ask(Method::GET, query, b"").await.expect("a session is still there");
            assert_eq!((status, text.as_str()), (400, "{\"code\":1,\"message\":\"Session ID unknown\"}"));
        }
        assert_eq!(asked.living.load(Ordering::Relaxed), 0, "an app outlives its session");
    });
}

async fn step(asked: &mut Asked, input: &mut Input<'_>) {
    let (what, which) = (input.byte(), input.byte());
    let sid = match asked.sids.get(usize::from(which % 9)) {
        Some(sid) => Value::from(sid.as_str()),
        None if which % 2 == 0 => Value::Null,
        None => Value::from("unknown"),
    };
    let version = if what & 64 == 0 { json!("4") } else { json!("3") };
    let transport = ["polling", "polling", "polling", "websocket", "polling", "carrier pigeon"]
        [usize::from(what >> 3) % 6];
    let query = json!({ "EIO": version, "transport": transport, "sid": sid });
    match what % 8 {
        0 => drop(asked.ask(Method::GET, json!({ "EIO": "4", "transport": "polling" }), b"").await),
        1 | 2 => {
            let length = usize::from(input.byte());
            let body = input.take(length);
            let repeated = body.repeat(if what & 128 == 0 { 1 } else { 9 });
            let _ = asked.ask(Method::POST, query, &repeated).await;
        }
        3 => drop(asked.ask(Method::PUT, query, b"").await),
        4 => asked.rest().await,
        _ => drop(asked.ask(Method::GET, query, b"").await),
    }
}
