//! An ad network says that an ad was watched: its callback carries the anti-spam token, and redeems it. The player need not be
//! there any more; whoever is hears of the award on the socket.

use std::net::IpAddr;
use std::time::Instant;

use serde_json::{Map, Value, json};

use super::answer::answer;
use super::redeem::{ScriptRun, spend};
use super::safe::wait_until_safe;
use super::{Award, Denied, Permission, Submission};
use crate::account::{self, Identity, UserRef};
use crate::action::Verdict;
use crate::action::proof::admob::Callback;
use crate::app::App;
use crate::clock::rfc3339;
use crate::error::{Error, Refusal, Result};
use crate::store::{IdempotencyKey, Judging, RedeemOutcome};
use crate::suspicion::Sign;
use crate::token::sha256_hex;

/// A callback that comes later after the ad than this is refused; for so long its transaction is remembered.
const LATEST_MS: i64 = 86_400_000;

/// Redeems the token in a callback, given as the raw query. A repeat gets the first answer again; `None` where a callback that the network
/// signed has nothing to award.
///
/// # Errors
/// No action is proved so; it is not signed by the network, or is about something else; what `redeem` refuses; a store, or the list of keys, is away.
pub async fn credit(app: &App, from: IpAddr, query: &str) -> Result<Option<Award>> {
    let credited = try_credit(app, query).await;
    credited.map_err(|Denied { error, sign }| {
        app.note(sign, None, from);
        error
    })
}

async fn try_credit(app: &App, query: &str) -> Result<Option<Award>, Denied> {
    let keys = app.admob.as_ref().ok_or(Refusal::NotFound)?;
    let callback = keys.verify(query, Instant::now()).await.map_err(|refusal| Denied {
        sign: matches!(refusal, Refusal::Validation(_)).then_some(Sign::Forged),
        error: refusal.into(),
    })?;
    let Some(callback) = callback else { return Ok(None) };
    let claims = app.anti_spam.read(&callback.custom_data)?;
    let caller = owner(app, UserRef::Id(claims.sub)).await?;
    let permission = Permission::Callback(callback.custom_data.clone());
    let judged = permission.judge(app, &caller).await?;
    // Such a token names its action.
    let action = judged.action.ok_or(Refusal::InvalidActionToken)?;
    check(&callback, &caller, action.proof.takes_ad_unit(&callback.ad_unit))?;
    let transaction = sha256_hex(&[b"admob\n", callback.transaction_id.as_bytes()]);
    let verdict = Verdict {
        valid_ms: (0, callback.timestamp_ms + LATEST_MS),
        once: vec![transaction.clone()],
        ..Verdict::default()
    };
    let submission = Submission {
        permission,
        proof: Some(as_proof(&callback)),
        idempotency: Some(IdempotencyKey {
            key_digest: transaction,
            request_digest: sha256_hex(&[b"admob\n", callback.custom_data.as_bytes()]),
            kept_ms: LATEST_MS as u64,
        }),
    };
    // Networks repeat what was lost; a player's window of attempts is not theirs.
    let run = ScriptRun {
        verdict: &verdict,
        points: action.points,
        most_points: action.points,
        judging: Judging::Local,
        per_minute: 0,
    };
    let redeemed = spend(app, &caller, &submission, &judged, run).await?;
    if let Some(holds) = redeemed.revealed_verdict() {
        app.metrics.proof(action.proof.kind(), holds);
    }
    if matches!(redeemed.outcome, RedeemOutcome::Awarded(_)) && !redeemed.replayed {
        app.metrics.award(&action.kind);
    }
    let award = answer(app, &caller, &redeemed, &judged, true)?;
    wait_until_safe(app, &caller, &judged, &redeemed.run).await?;
    Ok(Some(award))
}

async fn owner(app: &App, id: UserRef) -> Result<Identity, Error> {
    let user = account::find(app, id).await?.ok_or(Refusal::UserNotFound)?;
    // Nobody logs in: this identity lives as long as the call.
    Ok(Identity {
        user: user.id,
        number: user.number,
        username: user.username,
        role: user.role,
        issued_at_s: 0,
        expires_at_s: 0,
    })
}

fn check(callback: &Callback, caller: &Identity, ad_unit: bool) -> Result<(), Denied> {
    let named = callback.user_id.as_deref().unwrap_or_default();
    if !named.is_empty() && named != caller.user.to_string() && named != caller.number.to_string() {
        return Err(Denied::of(Refusal::field("user_id", "is not the token's user"), Sign::Foreign));
    }
    if ad_unit { Ok(()) } else { Err(Refusal::field("ad_unit", "is not this action's").into()) }
}

/// What is kept of a callback.
fn as_proof(callback: &Callback) -> Map<String, Value> {
    let kept = [
        ("network", json!("admob")),
        ("transactionId", json!(callback.transaction_id)),
        ("adUnit", json!(callback.ad_unit)),
        ("rewardItem", json!(callback.reward_item)),
        ("rewardAmount", json!(callback.reward_amount)),
        ("watchedAt", json!(rfc3339(callback.timestamp_ms))),
    ];
    kept.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
