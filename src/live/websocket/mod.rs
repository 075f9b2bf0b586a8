//! WebSockets (RFC 6455) on the bare TCP connection: the handshake, the reading half, and the frames to be written. What is
//! read is left to tungstenite; what is written is a frame that many connections share, so it goes to the socket as it is.
//! It knows nothing of what is said.

mod frame;
mod socket;
mod upgrade;

pub use frame::{binary, close, ping, text};
pub use socket::{Heard, Limits, Socket};
pub use upgrade::Upgrade;
