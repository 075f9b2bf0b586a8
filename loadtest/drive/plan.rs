//! What a run sends, to whom, and for how long.

use std::net::SocketAddr;

use super::players::Players;
use super::turns::Group;

/// What is sent.
pub struct Plan<'a> {
    pub address: SocketAddr,
    pub players: &'a Players,
    /// Of all but the leader, who is the last player.
    pub crowd: Group,
    /// The leader's pace, on a lane of its own.
    pub leader: Option<f64>,
    pub listeners: usize,
    pub seconds: f64,
    /// It ends before, when so many were sent.
    pub requests: u64,
}
