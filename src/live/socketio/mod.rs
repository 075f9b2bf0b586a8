//! Socket.IO 5 (github.com/socketio/socket.io-protocol) over Engine.IO: namespaces, events, acknowledgements, bytes.

mod connection;
mod packet;
mod scoreboard;

pub use connection::{Connection, Heard};
pub use packet::{Kind, Packet};
pub use scoreboard::engine;
