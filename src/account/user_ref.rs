//! References to users in paths, commands and searches. The text alone determines its kind, never the set of registered users, so nobody
//! can make a reference mean another user by registering a name.

use std::net::IpAddr;

use uuid::Uuid;

use super::Username;

/// A reference to a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserRef {
    /// By UUID.
    Id(Uuid),
    /// By serial number, from 1 on.
    Number(i64),
    /// By name, ignoring case.
    Name(Username),
}

impl UserRef {
    /// Parses a reference: a UUID in any form, else digits as a number, else a name.
    ///
    /// # Errors
    /// It can refer to nobody: what to use instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Ok(id) = text.parse() {
            return Ok(Self::Id(id));
        }
        if is_digits(text) {
            let number = text.parse().ok().filter(|number| *number > 0).map(Self::Number);
            return number.ok_or_else(|| "Use a number from 1 to 9223372036854775807".to_owned());
        }
        Username::parse(text).map(Self::Name)
    }
}

/// Whether a text is a reference other than a name: a UUID or number, or an IP address, by which the API finds suspects. No username may be
/// one, or its user could not be found by name. If you add a kind of reference, add it here, and migrate the names that have its form.
pub(super) fn is_other_reference(text: &str) -> bool {
    is_digits(text) || text.parse::<Uuid>().is_ok() || text.parse::<IpAddr>().is_ok()
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Names, and texts that resemble numbers, UUIDs and addresses.
    fn texts() -> impl Strategy<Value = String> {
        let id = any::<u128>().prop_map(Uuid::from_u128);
        let ids = (id, 0..4_usize, any::<bool>()).prop_map(|(id, form, upper)| {
            let text = match form {
                0 => id.hyphenated().to_string(),
                1 => id.simple().to_string(),
                2 => id.braced().to_string(),
                _ => id.urn().to_string(),
            };
            if upper { text.to_uppercase() } else { text }
        });
        prop_oneof!["[A-Za-z0-9_.-]{3,50}", "[0-9]{1,50}", "[0-9.]{3,20}", "[0-9a-fA-F-]{30,38}", ids]
    }

    proptest! {
        #[test]
        fn no_username_is_another_reference(text in texts()) {
            let name = Username::parse(&text);
            match UserRef::parse(&text) {
                Ok(UserRef::Name(parsed)) => prop_assert_eq!(Ok(parsed), name),
                Ok(UserRef::Id(_) | UserRef::Number(_)) | Err(_) => prop_assert!(name.is_err(), "{} can be a name", text),
            }
        }
    }

    #[test]
    fn parses_uuids_numbers_and_names() {
        let id = Uuid::from_u128(0x0193_0a5b_7c00_7000_8000_0000_0000_00ab);
        let plain = id.to_string();
        let forms = [
            plain.clone(),
            plain.to_uppercase(),
            id.simple().to_string(),
            format!("{{{plain}}}"),
            format!("urn:uuid:{plain}"),
        ];
        for form in forms {
            assert_eq!(UserRef::parse(&form), Ok(UserRef::Id(id)), "{form}");
        }
        for (text, number) in [("110", 110), ("0000110", 110), ("9223372036854775807", i64::MAX)] {
            assert_eq!(UserRef::parse(text), Ok(UserRef::Number(number)));
        }
        // 32 digits are a UUID.
        assert_eq!(UserRef::parse(&format!("{:032}", 110)), Ok(UserRef::Id(Uuid::from_u128(0x110))));
        for invalid in ["", "0", "000", "9223372036854775808", "+5", "1.2.3.4", "ab", "a b"] {
            assert!(UserRef::parse(invalid).is_err(), "{invalid:?}");
        }
        let name = |text: &str| UserRef::Name(Username::parse(text).unwrap());
        for text in ["ada", "-55", "1.5", "110_", "player_110", "1.2.3.4.5"] {
            assert_eq!(UserRef::parse(text), Ok(name(text)));
        }
    }
}
