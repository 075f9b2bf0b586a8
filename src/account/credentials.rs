//! Validated usernames, email addresses and passwords.

use std::fmt;

use super::user_ref::is_other_reference;

/// 3 to 50 of `[A-Za-z0-9_.-]`, unique ignoring case. Never a number, UUID or IP address, which are other references to users.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Username(String);

/// An email address of at most 255 bytes, with `@` and a dot in the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email(String);

/// 8 to 128 characters; never printed.
pub struct Password(String);

impl Username {
    /// The length of the longest username.
    pub const MAX_BYTES: usize = 50;

    /// # Errors
    /// What to use instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
        if !(3..=Self::MAX_BYTES).contains(&text.len()) || !text.bytes().all(is_allowed) {
            return Err("Use 3 to 50 characters: letters, digits, _, . or -".into());
        }
        if is_other_reference(text) {
            return Err("Don't use a number, a UUID or an IP address; add a letter or _ in front".into());
        }
        Ok(Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Email {
    /// # Errors
    /// What to use instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        let is_plain =
            text.len() <= 255 && !text.chars().any(|char| char.is_whitespace() || char.is_control());
        let has_parts = text.split_once('@').is_some_and(|(name, host)| {
            let labels: Vec<_> = host.split('.').collect();
            !name.is_empty()
                && !host.contains('@')
                && labels.len() >= 2
                && labels.iter().all(|label| !label.is_empty())
        });
        if is_plain && has_parts {
            Ok(Self(text.to_owned()))
        } else {
            Err("Use an email address, such as name@example.com".into())
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Password {
    /// # Errors
    /// What to use instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        if (8..=128).contains(&text.chars().count()) {
            Ok(Self(text.to_owned()))
        } else {
            Err("Use 8 to 128 characters".into())
        }
    }

    /// The bytes, for hashing only.
    pub fn expose(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<hidden>")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits() {
        assert!(Username::parse("abc").is_ok() && Username::parse(&"a".repeat(50)).is_ok());
        assert!(Username::parse("ab").is_err() && Username::parse(&"a".repeat(51)).is_err());
        assert!(Username::parse("a b c").is_err() && Username::parse("äbc").is_err());
        for reference in
            ["110", "1.2.3.4", "01930a5b7c0070008000000000000000", "01930A5B-7C00-7000-8000-000000000000"]
        {
            assert!(Username::parse(reference).is_err(), "{reference}");
            assert!(Username::parse(&format!("_{reference}")).is_ok(), "{reference}");
        }
        assert!(Email::parse("a@b.c").is_ok());
        for bad in ["", "a", "@b.c", "a@b", "a@.c", "a@b.", "a@b@c.d", "a @b.c"] {
            assert!(Email::parse(bad).is_err(), "{bad}");
        }
        assert!(Password::parse("12345678").is_ok() && Password::parse("1234567").is_err());
        assert!(Password::parse(&"ä".repeat(128)).is_ok() && Password::parse(&"ä".repeat(129)).is_err());
    }
}
