//! Text that became a username, an e-mail address or a password by being checked (contract, section 3).

use std::fmt;

use super::user_ref::is_no_name;

/// 3 to 50 of `[A-Za-z0-9_.-]`, unique without regard to case, and no number, UUID or IP address: those refer to users otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Username(String);

/// An e-mail address of at most 255 bytes: something, `@`, something with a dot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email(String);

/// 8 to 128 characters; never printed.
pub struct Password(String);

impl Username {
    /// The longest one.
    pub const MAX_BYTES: usize = 50;

    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
        if !(3..=Self::MAX_BYTES).contains(&text.len()) || !text.bytes().all(allowed) {
            return Err("must be 3 to 50 of A-Z, a-z, 0-9, _, . and -".into());
        }
        if is_no_name(text) {
            return Err(
                "must not be a number, a UUID or an IP address; put a letter or _ in front of it".into()
            );
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
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let plain = text.len() <= 255 && !text.chars().any(|it| it.is_whitespace() || it.is_control());
        let shaped = text.split_once('@').is_some_and(|(name, host)| {
            let labels: Vec<_> = host.split('.').collect();
            !name.is_empty()
                && !host.contains('@')
                && labels.len() >= 2
                && labels.iter().all(|it| !it.is_empty())
        });
        if plain && shaped { Ok(Self(text.to_owned())) } else { Err("must be an e-mail address".into()) }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Password {
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        if (8..=128).contains(&text.chars().count()) {
            Ok(Self(text.to_owned()))
        } else {
            Err("must be 8 to 128 characters".into())
        }
    }

    /// The bytes, for the hash alone.
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
    fn borders() {
        assert!(Username::parse("abc").is_ok() && Username::parse(&"a".repeat(50)).is_ok());
        assert!(Username::parse("ab").is_err() && Username::parse(&"a".repeat(51)).is_err());
        assert!(Username::parse("a b c").is_err() && Username::parse("äbc").is_err());
        for no_name in
            ["110", "1.2.3.4", "01930a5b7c0070008000000000000000", "01930A5B-7C00-7000-8000-000000000000"]
        {
            assert!(Username::parse(no_name).is_err(), "{no_name}");
            assert!(Username::parse(&format!("_{no_name}")).is_ok(), "{no_name}");
        }
        assert!(Email::parse("a@b.c").is_ok());
        for bad in ["", "a", "@b.c", "a@b", "a@.c", "a@b.", "a@b@c.d", "a @b.c"] {
            assert!(Email::parse(bad).is_err(), "{bad}");
        }
        assert!(Password::parse("12345678").is_ok() && Password::parse("1234567").is_err());
        assert!(Password::parse(&"ä".repeat(128)).is_ok() && Password::parse(&"ä".repeat(129)).is_err());
    }
}
