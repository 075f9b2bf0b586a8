//! WebSockets (RFC 6455) on the bare TCP connection: the handshake, the reading half, and the frames to be written. What is
//! written is a frame that many connections share, so it goes to the socket as it is.
//! It knows nothing of what is said.

mod frame;
pub(crate) mod packed;
pub(crate) mod reader;
mod socket;
mod upgrade;

pub use frame::{binary, close, packed_text, ping, text};
pub use packed::{GZIP, flush, store};
pub use socket::{Heard, Limits, Socket};
pub use upgrade::Upgrade;
