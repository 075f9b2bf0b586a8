//! Hostile clients of `/api/v1/ws`: whatever they say, the node stays up and a good client beside them has the board.

use futures::SinkExt;
use proptest::prelude::*;
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

use super::{fuzz, runtime};
use crate::harness::{Player, TestNode, World};
use crate::live::client::{Client, handshake};

#[derive(Clone, Debug)]
enum Said {
    Frame(Message),
    /// Past the protocol: broken frames, wrong opcodes, no mask.
    Raw(Vec<u8>),
}

fn said() -> impl Strategy<Value = Said> {
    let bytes = |most: usize| prop::collection::vec(any::<u8>(), 0..most);
    prop_oneof![
        3 => ".{0,200}".prop_map(|it| Said::Frame(Message::text(it))),
        2 => bytes(200).prop_map(|it| Said::Frame(Message::binary(it))),
        1 => bytes(125).prop_map(|it| Said::Frame(Message::Ping(it.into()))),
        1 => bytes(125).prop_map(|it| Said::Frame(Message::Pong(it.into()))),
        1 => (4000..100_000_usize).prop_map(|length| Said::Frame(Message::binary(vec![7; length]))),
        2 => bytes(100).prop_map(Said::Raw),
        // A frame that says that much more follows than does.
        1 => (0..16_u8, bytes(20)).prop_map(|(opcode, rest)| Said::Raw([vec![0x80 | opcode, 0xff], rest].concat())),
        1 => Just(Said::Frame(Message::Close(None))),
    ]
}

/// Says it all, for as long as the node listens.
async fn attack(node: &TestNode, eve: &Player, all: Vec<Said>) {
    let mut request = handshake(&node.base, "");
    request.headers_mut().insert("authorization", format!("Bearer {}", eve.token).parse().unwrap());
    let (mut socket, _) = connect_async(request).await.unwrap();
    for said in all {
        let heard = match said {
            Said::Frame(message) => socket.send(message).await.is_ok(),
            Said::Raw(bytes) => socket.get_mut().write_all(&bytes).await.is_ok(),
        };
        if !heard {
            return;
        }
    }
}

#[test]
fn whatever_a_client_says_the_others_have_the_board() {
    let runtime = runtime();
    let (_world, node, eve, bob) = runtime.block_on(async {
        let world = World::new().await;
        let node = world.node_with(|it| it.limits.sockets_per_user = 0).await;
        let (eve, bob) = (node.register("eve").await, node.register("bob").await);
        (world, node, eve, bob)
    });
    let good = runtime.block_on(Client::connect(&node, &bob));
    let good = tokio::sync::Mutex::new(good);
    fuzz(0.25, prop::collection::vec(said(), 1..8), |all| {
        runtime.block_on(async {
            attack(&node, &eve, all).await;
            let token = node.token(&bob, "watch_ad").await;
            let won = node.finalize(&bob, &token, Value::Null).await;
            let board = crate::harness::rows(&won.body["leaderboard"]);
            good.lock().await.wait_for_board(&board).await;
            Ok(())
        })
    });
}
