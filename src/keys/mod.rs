//! Other people's keys: rings that verify what an identity provider, a game server or an ad network signed, and that
//! follow their files without a restart. It must never know what a signature is worth, nor what time it is.

mod file;
pub(crate) mod jwks;
mod key;
mod numeric_date;
pub(crate) mod pem;
mod ring;
#[cfg(test)]
#[allow(missing_docs)]
#[path = "../../tests/harness/signer.rs"]
pub mod signer;

use file::Found;
pub use file::KeyFile;
pub use jsonwebtoken::Algorithm;
pub use key::Key;
pub use numeric_date::{LAST_SECOND, NumericDate};
pub use ring::{KeyRing, MAX_TOKEN_BYTES, reload_forever};
