//! Keys of other parties: key rings verify what an identity provider, a game server or an ad network signed, and reload their files
//! without a restart. This module checks signatures only; it depends neither on the claims' meaning nor on a clock.

pub(crate) mod jwks;
mod key;
mod key_file;
mod key_ring;
mod numeric_date;
pub(crate) mod pem;
#[cfg(test)]
#[allow(missing_docs)]
#[path = "../../tests/harness/signer.rs"]
pub mod signer;

pub use jsonwebtoken::Algorithm;
pub use key::Key;
pub use key_file::KeyFile;
use key_file::KeySet;
pub use key_ring::{KeyRing, MAX_TOKEN_BYTES, reload_forever};
pub use numeric_date::{LAST_SECOND, NumericDate};
