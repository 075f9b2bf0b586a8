//! Tokens of outside identity providers (JWT, RFC 7519), and the users that are made when such a token arrives first.

use serde::Deserialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::issuers::{Issuer, Issuers};
use super::outside_users::KnownUser;
use super::{Identity, Username, outside_users};
use crate::app::App;
use crate::error::{Fault, Result};
use crate::keys::NumericDate;

/// A node's clock may be so far behind the provider's. It helps nobody to a longer login.
const NOT_BEFORE_LEEWAY_S: i64 = 5;
/// As the table has it.
const MAX_SUBJECT_BYTES: usize = 255;
/// With 24 bits of chance behind each, more than a few taken names are none.
const NAMES_TRIED: usize = 5;

/// What a token says that was believed.
#[derive(Debug, PartialEq, Eq)]
pub struct OutsideLogin {
    issuer: String,
    subject: String,
    /// What the user is called there, as it stands.
    called: String,
    issued_at_s: i64,
    expires_at_s: i64,
}

#[derive(Deserialize)]
struct Claimed {
    iss: String,
}

impl Issuers {
    /// Reads a token of one of the providers. `None` if it is malformed, forged, for others, too early or too late.
    pub fn read(&self, token: &str, now_s: i64) -> Option<OutsideLogin> {
        if self.issuers.is_empty() {
            return None;
        }
        // What it claims decides which ring is asked, and nothing else: below, the signature is that issuer's.
        let claimed: Claimed = jsonwebtoken::dangerous::insecure_decode_claims(token).ok()?;
        let issuer = self.issuers.iter().find(|it| it.name == claimed.iss)?;
        issuer.admit(&issuer.ring.verify(token)?, now_s)
    }
}

impl Issuer {
    fn admit(&self, claims: &Map<String, Value>, now_s: i64) -> Option<OutsideLogin> {
        let for_us = match claims.get("aud")? {
            Value::String(audience) => *audience == self.audience,
            Value::Array(audiences) => audiences.iter().any(|it| *it == *self.audience),
            _ => false,
        };
        let expires_at_s = time(claims.get("exp")?)?.rounded_down();
        let begun = match claims.get("nbf") {
            None | Some(Value::Null) => true,
            Some(begins) => time(begins)?.rounded_up() <= now_s + NOT_BEFORE_LEEWAY_S,
        };
        let subject = claims.get("sub")?.as_str()?;
        let named =
            (1..=MAX_SUBJECT_BYTES).contains(&subject.len()) && !subject.chars().any(char::is_control);
        let from_there = *claims.get("iss")? == *self.name;
        (from_there && for_us && begun && named && now_s < expires_at_s).then(|| OutsideLogin {
            issuer: self.name.clone(),
            subject: subject.to_owned(),
            called: claims.get(&self.username_claim).and_then(Value::as_str).unwrap_or_default().to_owned(),
            issued_at_s: claims.get("iat").and_then(time).map_or(now_s, NumericDate::rounded_down),
            expires_at_s,
        })
    }
}

fn time(value: &Value) -> Option<NumericDate> {
    NumericDate::deserialize(value).ok()
}

/// Who that is here; a user is made if nobody is. Whatever the token claims to be, it is a player.
///
/// # Errors
/// Postgres is away.
pub async fn identity(app: &App, login: OutsideLogin) -> Result<Identity> {
    let OutsideLogin { issuer, subject, called, issued_at_s, expires_at_s } = login;
    let known = match app.issuers.known.find(&(issuer.clone(), subject.clone())) {
        Some(known) => known,
        None => {
            let found = match outside_users::find(app, &issuer, &subject).await? {
                Some(found) => found,
                None => make(app, &issuer, &subject, &called).await?,
            };
            app.issuers.known.keep((issuer, subject), found.clone());
            found
        }
    };
    let KnownUser { user, number, username } = known;
    Ok(Identity { user, number, username, role: "player".into(), issued_at_s, expires_at_s })
}

async fn make(app: &App, issuer: &str, subject: &str, called: &str) -> Result<KnownUser> {
    for attempt in 0..NAMES_TRIED {
        let id = app.clock.new_id();
        let username = name(called, id, attempt > 0);
        if let Some(made) = outside_users::insert(app, id, &username, issuer, subject).await? {
            return Ok(made);
        }
        // Either the name is taken, or the same user has just been made elsewhere.
        if let Some(found) = outside_users::find(app, issuer, subject).await? {
            return Ok(found);
        }
    }
    Err(Fault::new("make an outside user", "no name was free").into())
}

/// A username out of what somebody is called elsewhere: blanks become `_`, other characters that usernames do not have go,
/// and so does the host of an address, which no board should show. With a suffix if the plain one is taken.
fn name(called: &str, id: Uuid, suffixed: bool) -> Username {
    let called = called.split('@').next().unwrap_or_default().trim();
    let plain: String = called
        .chars()
        .map(|it| if it.is_whitespace() { '_' } else { it })
        .filter(|it| it.is_ascii_alphanumeric() || "_.-".contains(*it))
        .take(Username::MAX_BYTES)
        .collect();
    let id = id.simple().to_string();
    // The end of a UUID v7 is chance; its beginning is the time.
    let suffix = &id[id.len() - 6..];
    let text = match (Username::parse(&plain), suffixed) {
        (Ok(username), false) => return username,
        (Ok(_), true) => format!("{}_{suffix}", &plain[..plain.len().min(Username::MAX_BYTES - 7)]),
        (Err(_), _) => format!("player_{}", &id[id.len() - 8..]),
    };
    Username::parse(&text).expect("3 to 50 of the characters that usernames have")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_usernames() {
        let id = Uuid::from_u128(0xabcdef);
        let plain = |called: &str| name(called, id, false).as_str().to_owned();
        assert_eq!(plain("ada.l-99_"), "ada.l-99_");
        assert_eq!(plain(" Ada  Lovelace "), "Ada__Lovelace");
        assert_eq!(plain("ada@id.example"), "ada");
        assert_eq!(plain("Zo\u{eb} \u{0}<b>Q"), "Zo_bQ");
        assert_eq!(plain(&"a".repeat(99)), "a".repeat(50));
        for nothing in
            ["", "ab", "@id.example", "\u{1f600}\u{1f600}\u{1f600}", "\u{0}\n", "110", "1.2.3.4", "(110)"]
        {
            assert_eq!(plain(nothing), "player_00abcdef", "{nothing:?}");
        }
        assert_eq!(name("ada", id, true).as_str(), "ada_abcdef");
        assert_eq!(name(&"a".repeat(99), id, true).as_str(), "a".repeat(43) + "_abcdef");
        assert_eq!(name("", id, true).as_str(), "player_00abcdef");
    }
}
