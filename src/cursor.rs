//! Cursors: opaque, signed positions in lists that are read page by page. A client can neither make one nor use one of another list.

use aws_lc_rs::{constant_time, hmac};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::config;
use crate::crypto::derive_key;
use crate::error::Refusal;

/// Bytes of the tag: an HMAC-SHA256, truncated.
const TAG_BYTES: usize = 16;
/// Longer cursors are refused without decoding them.
const MAX_BYTES: usize = 512;

/// The keys that sign cursors, derived from the login secrets.
pub struct Cursors {
    /// The first one signs, all verify.
    keys: Vec<hmac::Key>,
}

impl Cursors {
    /// Derives the keys. The newest login secret signs, all of them verify.
    pub fn new(auth: &config::Auth) -> Self {
        let secrets = std::iter::once(&auth.jwt_secret).chain(&auth.previous_jwt_secrets);
        let key = |secret: &str| hmac::Key::new(hmac::HMAC_SHA256, &derive_key(secret, b"cursor"));
        Self { keys: secrets.map(|secret| key(secret.expose())).collect() }
    }

    /// Signs a position of at most 300 bytes. `context` names the list, such as `history:<user>`: the cursor is valid there only. Clients can
    /// read the position, so it must not contain secrets.
    pub fn seal(&self, context: &str, position: &[u8]) -> String {
        debug_assert!(position.len() <= 300);
        let tag = tag(&self.keys[0], context, position);
        URL_SAFE_NO_PAD.encode([position, &tag].concat())
    }

    /// Verifies a cursor and returns its position.
    ///
    /// # Errors
    /// The text is not a cursor of this list: `VALIDATION_ERROR` of the field `cursor`.
    pub fn open(&self, context: &str, text: &str) -> Result<Vec<u8>, Refusal> {
        let verified = || {
            if text.len() > MAX_BYTES {
                return None;
            }
            let mut position = URL_SAFE_NO_PAD.decode(text).ok()?;
            let signed = position.split_off(position.len().checked_sub(TAG_BYTES)?);
            let is_signed_by =
                |key| constant_time::verify_slices_are_equal(&signed, &tag(key, context, &position)).is_ok();
            self.keys.iter().any(is_signed_by).then_some(position)
        };
        verified().ok_or_else(invalid)
    }
}

/// The refusal of a text that is not a cursor of the list.
pub fn invalid() -> Refusal {
    Refusal::field("cursor", "must be `next` or `previous` of a page of this list")
}

/// The tag of a position in a context. The length before the context makes the two unambiguous.
fn tag(key: &hmac::Key, context: &str, position: &[u8]) -> [u8; TAG_BYTES] {
    let mut signing = hmac::Context::with_key(key);
    signing.update(&(context.len() as u64).to_be_bytes());
    signing.update(context.as_bytes());
    signing.update(position);
    let mut tag = [0; TAG_BYTES];
    tag.copy_from_slice(&signing.sign().as_ref()[..TAG_BYTES]);
    tag
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OLD: &str = "an old secret, an old secret, an old one";
    const NEW: &str = "a new secret, a new secret, a new secret";

    fn cursors(newest: &str, previous: &[&str]) -> Cursors {
        let mut config = config::load([("JWT_SECRET".into(), newest.into())]).unwrap();
        config.auth.previous_jwt_secrets =
            previous.iter().map(|secret| (*secret).to_owned().into()).collect();
        Cursors::new(&config.auth)
    }

    proptest! {
        #[test]
        fn a_changed_cursor_is_refused(
            position in proptest::collection::vec(any::<u8>(), 0..64), at in any::<prop::sample::Index>(), other in "[A-Za-z0-9_=-]",
        ) {
            let cursors = cursors(NEW, &[]);
            let cursor = cursors.seal("history:1", &position);
            prop_assert_eq!(cursors.open("history:1", &cursor), Ok(position));
            let mut changed = cursor.clone();
            let at = at.index(cursor.len());
            changed.replace_range(at..=at, &other);
            prop_assert_eq!(cursors.open("history:1", &changed).is_ok(), changed == cursor);
            prop_assert!(cursors.open("history:1", &cursor[..at]).is_err());
            let longer = cursor + &other;
            prop_assert!(cursors.open("history:1", &longer).is_err());
        }
    }

    #[test]
    fn a_cursor_is_valid_in_its_own_list_only() {
        let cursors = cursors(NEW, &[]);
        let cursor = cursors.seal("history:1", b"23");
        // The same bytes, split elsewhere.
        for (context, cursor) in
            [("history:2", &cursor), ("history:", &cursor), ("history:12", &cursors.seal("history:1", b"2"))]
        {
            assert!(cursors.open(context, cursor).is_err(), "{context}");
        }
        let long = "A".repeat(MAX_BYTES + 1);
        for text in ["", "AA", "é", &long] {
            assert_eq!(cursors.open("history:1", text), Err(invalid()), "{text}");
        }
    }

    #[test]
    fn cursors_survive_a_change_of_the_secret() {
        let cursor = cursors(OLD, &[]).seal("history:1", b"position");
        assert_eq!(cursors(NEW, &[OLD]).open("history:1", &cursor).unwrap(), b"position");
        assert!(cursors(NEW, &[]).open("history:1", &cursor).is_err());
    }
}
