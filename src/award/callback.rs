//! Awards for watched ads: the ad network's callback carries the player's anti-spam token and redeems it. The player's own connections
//! receive the award as a live event.

use std::net::IpAddr;
use std::time::Instant;

use serde_json::{Map, Value, json};

use super::durability::await_durability;
use super::outcome::award_or_refusal;
use super::redeem::{ScriptRun, run_redeem};
use super::{Award, Credential, RedeemRequest, Rejection};
use crate::abuse::AbuseSignal;
use crate::account::{self, Identity, UserRef};
use crate::action::ProofResult;
use crate::action::proof::admob::Callback;
use crate::award::Awards;
use crate::clock::rfc3339;
use crate::crypto::sha256_hex;
use crate::error::{Error, Refusal, Result};
use crate::store::{IdempotencyKey, Judging};

/// A callback is accepted for 24 h after the ad was watched. Its transaction id is stored as long.
const MAX_DELAY_MS: i64 = 86_400_000;

/// Redeems the token in a callback, given as its raw query. A repeat replays the first response. `None` if the network signed the callback
/// but it awards nothing.
///
/// # Errors
/// No action of the catalogue is proved by a callback; the signature is wrong, or the callback does not match its token; the refusals of
/// `redeem`; a store or the network's key list does not answer.
pub async fn redeem_callback(awards: &Awards, from: IpAddr, query: &str) -> Result<Option<Award>> {
    let award = try_redeem_callback(awards, query).await;
    award.map_err(|Rejection { error, signal }| {
        awards.abuse_signals.note(signal, None, from);
        error
    })
}

async fn try_redeem_callback(awards: &Awards, query: &str) -> Result<Option<Award>, Rejection> {
    let keys = awards.admob.as_ref().ok_or(Refusal::NotFound)?;
    let callback = keys.verify(query, Instant::now()).await.map_err(|refusal| Rejection {
        signal: matches!(refusal, Refusal::Validation(_)).then_some(AbuseSignal::Forged),
        error: refusal.into(),
    })?;
    let Some(callback) = callback else { return Ok(None) };
    let claims = awards.anti_spam.read(&callback.custom_data)?;
    let caller = find_owner(awards, UserRef::Id(claims.sub)).await?;
    let credential = Credential::Callback(callback.custom_data.clone());
    let authorized = credential.authorize(awards, &caller).await?;
    // An anti-spam token always names its action.
    let action = authorized.action.ok_or(Refusal::InvalidActionToken)?;
    check_match(&callback, &caller, action.proof.accepts_ad_unit(&callback.ad_unit))?;
    let transaction = sha256_hex(&[b"admob\n", callback.transaction_id.as_bytes()]);
    let result = ProofResult {
        valid_ms: (0, callback.timestamp_ms + MAX_DELAY_MS),
        once: vec![transaction.clone()],
        ..ProofResult::default()
    };
    let request = RedeemRequest {
        credential,
        proof: Some(proof_fields(&callback)),
        idempotency: Some(IdempotencyKey {
            key_digest: transaction,
            request_digest: sha256_hex(&[b"admob\n", callback.custom_data.as_bytes()]),
            answer_ttl_ms: MAX_DELAY_MS as u64,
        }),
    };
    // Networks retry lost callbacks, so a callback does not count against the player's rate limit.
    let run = ScriptRun {
        result: &result,
        points: action.points,
        most_points: action.points,
        judging: Judging::Local,
        per_minute: 0,
    };
    let redeemed = run_redeem(awards, &caller, &request, &authorized, run).await?;
    if let Some(is_valid) = redeemed.revealed_verdict() {
        awards.metrics.proof(action.proof.kind(), is_valid);
    }
    if redeemed.outcome.is_ok() && !redeemed.replayed {
        awards.metrics.award(&action.kind);
    }
    let award = award_or_refusal(awards, &caller, &redeemed, &authorized, true)?;
    await_durability(awards, &caller, &authorized, &redeemed.run).await?;
    Ok(Some(award))
}

async fn find_owner(awards: &Awards, id: UserRef) -> Result<Identity, Error> {
    let user = account::find(&awards.accounts, id).await?.ok_or(Refusal::UserNotFound)?;
    // The player sent no login; this identity is used for this call only.
    Ok(Identity {
        user: user.id,
        number: user.number,
        username: user.username,
        role: user.role,
        issued_at_s: 0,
        expires_at_s: 0,
    })
}

fn check_match(callback: &Callback, caller: &Identity, is_ad_unit_accepted: bool) -> Result<(), Rejection> {
    let named = callback.user_id.as_deref().unwrap_or_default();
    if !named.is_empty() && named != caller.user.to_string() && named != caller.number.to_string() {
        return Err(Rejection::suspicious(
            Refusal::field("user_id", "does not match the user of the token"),
            AbuseSignal::Foreign,
        ));
    }
    if is_ad_unit_accepted {
        Ok(())
    } else {
        Err(Refusal::field("ad_unit", "is not one of this action's ad_units").into())
    }
}

/// The fields of a callback that are stored as the proof.
fn proof_fields(callback: &Callback) -> Map<String, Value> {
    let fields = [
        ("network", json!("admob")),
        ("transactionId", json!(callback.transaction_id)),
        ("adUnit", json!(callback.ad_unit)),
        ("rewardItem", json!(callback.reward_item)),
        ("rewardAmount", json!(callback.reward_amount)),
        ("watchedAt", json!(rfc3339(callback.timestamp_ms))),
    ];
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
