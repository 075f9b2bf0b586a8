//! Hostile clients of `/api/v1/ws`. The node stays up, and an honest client still gets every board.

use futures::SinkExt;
use proptest::prelude::*;
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

use super::{fuzz, runtime};
use crate::harness::{Player, TestNode, TestStores, rows};
use crate::live::client::{Client, handshake};

#[derive(Clone, Debug)]
enum Input {
    Message(Message),
    /// Bytes that break the protocol: malformed frames, wrong opcodes, no mask.
    Raw(Vec<u8>),
}

fn inputs() -> impl Strategy<Value = Input> {
    let bytes = |max: usize| prop::collection::vec(any::<u8>(), 0..max);
    prop_oneof![
        3 => ".{0,200}".prop_map(|text| Input::Message(Message::text(text))),
        2 => bytes(200).prop_map(|bytes| Input::Message(Message::binary(bytes))),
        1 => bytes(125).prop_map(|bytes| Input::Message(Message::Ping(bytes.into()))),
        1 => bytes(125).prop_map(|bytes| Input::Message(Message::Pong(bytes.into()))),
        1 => (4000..100_000_usize).prop_map(|length| Input::Message(Message::binary(vec![7; length]))),
        2 => bytes(100).prop_map(Input::Raw),
        // A frame whose length exceeds its payload.
        1 => (0..16_u8, bytes(20)).prop_map(|(opcode, rest)| Input::Raw([vec![0x80 | opcode, 0xff], rest].concat())),
        1 => Just(Input::Message(Message::Close(None))),
    ]
}

/// Sends all inputs until the node closes the connection.
async fn attack(node: &TestNode, eve: &Player, inputs: Vec<Input>) {
    let mut request = handshake(&node.base, "");
    request.headers_mut().insert("authorization", format!("Bearer {}", eve.token).parse().unwrap());
    let (mut socket, _) = connect_async(request).await.unwrap();
    for input in inputs {
        let is_sent = match input {
            Input::Message(message) => socket.send(message).await.is_ok(),
            Input::Raw(bytes) => socket.get_mut().write_all(&bytes).await.is_ok(),
        };
        if !is_sent {
            return;
        }
    }
}

#[test]
fn hostile_clients_do_not_affect_others() {
    let runtime = runtime();
    let (_stores, node, eve, bob) = runtime.block_on(async {
        let stores = TestStores::new().await;
        let node = stores.start_node_with(|config| config.limits.sockets_per_user = 0).await;
        let (eve, bob) = (node.register("eve").await, node.register("bob").await);
        (stores, node, eve, bob)
    });
    let honest = runtime.block_on(Client::connect(&node, &bob));
    let honest = tokio::sync::Mutex::new(honest);
    fuzz(0.25, prop::collection::vec(inputs(), 1..8), |inputs| {
        runtime.block_on(async {
            attack(&node, &eve, inputs).await;
            let token = node.issue_token(&bob, "watch_ad").await;
            let awarded = node.finalize(&bob, &token, Value::Null).await;
            let board = rows(&awarded.body["leaderboard"]);
            honest.lock().await.wait_for_board(&board).await;
            Ok(())
        })
    });
}
