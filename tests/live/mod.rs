//! `/api/v1/ws`, Socket.IO and server-sent events over real sockets.

mod admission;
mod boards;
pub mod client;
pub mod clients;
mod engineio;
mod events;
mod fanout;
mod handshake;
mod lost_messages;
mod newest_board;
mod pending_logins;
mod slow_clients;
pub mod socketio;
mod upgrade;

pub use client::Client;

use laurel::admin::{Decision, Restriction, restrict};

use crate::harness::{Player, TestNode, TestStores, eventually};

/// Waits until this many nodes are subscribed to the player's channel.
async fn wait_until_followed(stores: &TestStores, player: &Player, nodes: u64) {
    let channel = format!("personal:{}", player.identity.user);
    eventually("the nodes to follow the player", async || {
        let (_, count): (String, u64) =
            stores.redis_client().await.query(&format!("PUBSUB NUMSUB {channel}")).await;
        (count == nodes).then_some(())
    })
    .await;
}

/// Bans a player.
async fn ban(node: &TestNode, player: &Player) {
    let decision = Decision { actor: "test".into(), host: None, reason: "a bot".into() };
    restrict(&node.app.admin, player.identity.user, Restriction::Ban, None, &decision).await.unwrap();
}
