//! Logins with tokens of identity providers (JWT, RFC 7519). The first token of a subject creates its user.

use serde::Deserialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::external_identities::ExternalUser;
use super::issuers::{Issuer, Issuers};
use super::{Identity, Username, external_identities};
use crate::account::Accounts;
use crate::error::{Fault, Result};
use crate::keyring::NumericDate;

/// How far a node's clock may be behind the provider's. Applies to `nbf` only, so no login lasts longer.
const NOT_BEFORE_LEEWAY_S: i64 = 5;
/// The limit of the table.
const MAX_SUBJECT_BYTES: usize = 255;
/// Names with 24 random bits each: they are not all taken.
const NAMES_TRIED: usize = 5;

/// The claims of a verified token.
#[derive(Debug, PartialEq, Eq)]
pub struct ExternalLogin {
    issuer: String,
    subject: String,
    /// The user's name at the provider, unchanged.
    provider_name: String,
    issued_at_s: i64,
    expires_at_s: i64,
}

#[derive(Deserialize)]
struct IssuerClaim {
    iss: String,
}

impl Issuers {
    /// Reads a provider's token. `None` if it is malformed, forged, expired, not yet valid, or for another audience.
    pub fn read(&self, token: &str, now_s: i64) -> Option<ExternalLogin> {
        if self.issuers.is_empty() {
            return None;
        }
        // The unverified `iss` only selects the key ring. That ring then verifies the signature.
        let unverified: IssuerClaim = jsonwebtoken::dangerous::insecure_decode_claims(token).ok()?;
        let issuer = self.issuers.iter().find(|it| it.name == unverified.iss)?;
        issuer.check(&issuer.ring.verify(token)?, now_s)
    }
}

impl Issuer {
    fn check(&self, claims: &Map<String, Value>, now_s: i64) -> Option<ExternalLogin> {
        let has_audience = match claims.get("aud")? {
            Value::String(audience) => *audience == self.audience,
            Value::Array(audiences) => audiences.iter().any(|it| *it == *self.audience),
            _ => false,
        };
        let expires_at_s = time(claims.get("exp")?)?.rounded_down();
        let is_started = match claims.get("nbf") {
            None | Some(Value::Null) => true,
            Some(not_before) => time(not_before)?.rounded_up() <= now_s + NOT_BEFORE_LEEWAY_S,
        };
        let subject = claims.get("sub")?.as_str()?;
        let is_valid_subject =
            (1..=MAX_SUBJECT_BYTES).contains(&subject.len()) && !subject.chars().any(char::is_control);
        let has_issuer = *claims.get("iss")? == *self.name;
        let is_valid = has_issuer && has_audience && is_started && is_valid_subject && now_s < expires_at_s;
        let provider_name = claims.get(&self.username_claim).and_then(Value::as_str).unwrap_or_default();
        is_valid.then(|| ExternalLogin {
            issuer: self.name.clone(),
            subject: subject.to_owned(),
            provider_name: provider_name.to_owned(),
            issued_at_s: claims.get("iat").and_then(time).map_or(now_s, NumericDate::rounded_down),
            expires_at_s,
        })
    }
}

fn time(value: &Value) -> Option<NumericDate> {
    NumericDate::deserialize(value).ok()
}

/// The user of an external login; creates the user on the first login. The role is always player, whatever the token claims.
///
/// # Errors
/// Postgres is unavailable.
pub async fn identity(accounts: &Accounts, login: ExternalLogin) -> Result<Identity> {
    let ExternalLogin { issuer, subject, provider_name, issued_at_s, expires_at_s } = login;
    let known = match accounts.issuers.known.get(&(issuer.clone(), subject.clone())) {
        Some(known) => known,
        None => {
            let found = match external_identities::find(accounts, &issuer, &subject).await? {
                Some(found) => found,
                None => create(accounts, &issuer, &subject, &provider_name).await?,
            };
            accounts.issuers.known.insert((issuer, subject), found.clone());
            found
        }
    };
    let ExternalUser { user, number, username } = known;
    Ok(Identity { user, number, username, role: "player".into(), issued_at_s, expires_at_s })
}

async fn create(
    accounts: &Accounts,
    issuer: &str,
    subject: &str,
    provider_name: &str,
) -> Result<ExternalUser> {
    for attempt in 0..NAMES_TRIED {
        let id = accounts.clock.new_id();
        let username = username(provider_name, id, attempt > 0);
        if let Some(created) = external_identities::insert(accounts, id, &username, issuer, subject).await? {
            return Ok(created);
        }
        // Either the name is taken, or another request has just created the same user.
        if let Some(found) = external_identities::find(accounts, issuer, subject).await? {
            return Ok(found);
        }
    }
    Err(Fault::new("create_external_user", "all tried names are taken").into())
}

/// Derives a username from the name at the provider. Whitespace becomes `_`, other forbidden characters are dropped, and so is the host
/// of an email address, which the board must not show. With a random suffix if `suffixed`.
fn username(provider_name: &str, id: Uuid, suffixed: bool) -> Username {
    let local_part = provider_name.split('@').next().unwrap_or_default().trim();
    let plain: String = local_part
        .chars()
        .map(|char| if char.is_whitespace() { '_' } else { char })
        .filter(|char| char.is_ascii_alphanumeric() || "_.-".contains(*char))
        .take(Username::MAX_BYTES)
        .collect();
    let id = id.simple().to_string();
    // The end of a UUID v7 is random; its beginning is the time.
    let suffix = &id[id.len() - 6..];
    let text = match (Username::parse(&plain), suffixed) {
        (Ok(username), false) => return username,
        (Ok(_), true) => format!("{}_{suffix}", &plain[..plain.len().min(Username::MAX_BYTES - 7)]),
        (Err(_), _) => format!("player_{}", &id[id.len() - 8..]),
    };
    Username::parse(&text).expect("3 to 50 allowed characters")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usernames_are_derived_from_provider_names() {
        let id = Uuid::from_u128(0xabcdef);
        let plain = |name: &str| username(name, id, false).as_str().to_owned();
        assert_eq!(plain("ada.l-99_"), "ada.l-99_");
        assert_eq!(plain(" Ada  Lovelace "), "Ada__Lovelace");
        assert_eq!(plain("ada@id.example"), "ada");
        assert_eq!(plain("Zo\u{eb} \u{0}<b>Q"), "Zo_bQ");
        assert_eq!(plain(&"a".repeat(99)), "a".repeat(50));
        for unusable in
            ["", "ab", "@id.example", "\u{1f600}\u{1f600}\u{1f600}", "\u{0}\n", "110", "1.2.3.4", "(110)"]
        {
            assert_eq!(plain(unusable), "player_00abcdef", "{unusable:?}");
        }
        assert_eq!(username("ada", id, true).as_str(), "ada_abcdef");
        assert_eq!(username(&"a".repeat(99), id, true).as_str(), "a".repeat(43) + "_abcdef");
        assert_eq!(username("", id, true).as_str(), "player_00abcdef");
    }
}
