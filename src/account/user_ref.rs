//! References to users, as paths, commands and searches have them. Which kind a text is follows from the text alone, never from
//! who is registered: so nobody can make somebody else's reference, or their own, mean another user.

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
    /// By name, without regard to case.
    Name(Username),
}

impl UserRef {
    /// Reads a reference: what parses as a UUID, in any form, is a UUID; other digits are a number; the rest is a name.
    ///
    /// # Errors
    /// What is wrong with it: nobody can be referred to by it.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Ok(id) = text.parse() {
            return Ok(Self::Id(id));
        }
        if is_digits(text) {
            let number = text.parse().ok().filter(|it| *it > 0).map(Self::Number);
            return number.ok_or_else(|| "must be from 1 to 2^63 - 1".to_owned());
        }
        Username::parse(text).map(Self::Name)
    }
}

/// Whether a text stands for something else than a name wherever users are referred to: `UserRef` reads UUIDs and numbers, and what is
/// known of a suspect is asked for by an IP address too. No name may, or its user could not be found by it: who adds a
/// kind of reference adds it here, with a migration that renames users with such names.
pub(super) fn is_no_name(text: &str) -> bool {
    is_digits(text) || text.parse::<Uuid>().is_ok() || text.parse::<IpAddr>().is_ok()
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Names, and what is close to a number, a UUID or an address.
    fn texts() -> impl Strategy<Value = String> {
        let id = any::<u128>().prop_map(Uuid::from_u128);
        let cases = any::<bool>();
        let ids = (id, 0..4_usize, cases).prop_map(|(id, form, upper)| {
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
        fn a_reference_is_of_one_kind_whatever_users_are_called(text in texts()) {
            let name = Username::parse(&text);
            match UserRef::parse(&text) {
                Ok(UserRef::Name(it)) => prop_assert_eq!(Ok(it), name),
                Ok(UserRef::Id(_) | UserRef::Number(_)) | Err(_) => prop_assert!(name.is_err(), "{} can be a name", text),
            }
        }
    }

    #[test]
    fn every_form_of_a_uuid_is_that_uuid_and_digits_are_a_number() {
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
        // 32 digits are a UUID, however small the number would be.
        assert_eq!(UserRef::parse(&format!("{:032}", 110)), Ok(UserRef::Id(Uuid::from_u128(0x110))));
        for nobody in ["", "0", "000", "9223372036854775808", "+5", "1.2.3.4", "ab", "a b"] {
            assert!(UserRef::parse(nobody).is_err(), "{nobody:?}");
        }
        let name = |text: &str| UserRef::Name(Username::parse(text).unwrap());
        for text in ["ada", "-55", "1.5", "110_", "player_110", "1.2.3.4.5"] {
            assert_eq!(UserRef::parse(text), Ok(name(text)));
        }
    }
}
