//! Proven tokens: `lua/prove.lua`.

use uuid::Uuid;

use crate::action::{Limits, ProofResult};
use crate::error::{Fault, RateWindow};
use crate::store::commands::judging::{Judging, Reservation};
use crate::store::commands::redeem::IdempotencyKey;
use crate::store::commands::script_refusal::ScriptRefusal;
use crate::store::script::declaration::{Fields, fields, script};
use crate::store::script::reply::ReplyCode;
use crate::store::shard::Shard;
use crate::store::{MINUTE_MS, ShardPosition, Store, span_text};

script! {
    prove as ProveCall
        needs [reply clock epoch rate precheck limits session token proof judging answer outbox]
    keys [
        shard_state outbox token spent rate ban limit interval session init init_spent answer judging
    ]
    more_keys once
    args {
        user: Uuid,
        action: &'a str,
        points: u64,
        attempt_id: Uuid,
        token_hash: &'a str,
        ttl_ms: u64,
        rate_limit: u32 => tonumber,
        rate_window_ms: u64,
        interval_ms: u64,
        limits: &'a Limits => read_limits,
        outbox_max: u64 => tonumber,
        init_id: Option<Uuid>,
        init_hash: Option<&'a str>,
        init_expires_s: i64 => tonumber,
        named_session: &'a str,
        proof: &'a str,
        verdict: &'static str,
        proof_span: String,
        result: String,
        request_digest: Option<&'a str>,
        answer_ttl_ms: Option<u64>,
        proven_token: Option<&'a str>,
        latest: ShardPosition,
    }
    optional { reservation: &'a Reservation => read_reservation }
    fields { PROVEN: ProvenFields }
}

fields! {
    /// The token that a proof bought.
    #[derive(Debug, PartialEq, Eq)]
    pub struct ProvenFields {
        /// Its expiry, in Unix ms.
        expires_at_ms: i64,
        /// Its lifetime.
        ttl_ms: u64,
        /// That of the first answer under the idempotency key; empty without a key.
        token: String,
    }
}

/// The anti-spam token that is exchanged for a proven token.
pub struct InitToken {
    /// Its id.
    pub id: Uuid,
    /// SHA-256 of the token, in hex.
    pub hash: String,
    /// Its `exp`, rounded up to seconds.
    pub expires_s: i64,
}

/// Input of `prove`.
pub struct Prove<'a> {
    /// UUID of the user.
    pub user: Uuid,
    /// Action type.
    pub action: &'a str,
    /// Points of the action.
    pub points: u64,
    /// The action's own limits.
    pub limits: &'a Limits,
    /// Id of the attempt, which becomes the event id of the award.
    pub attempt_id: Uuid,
    /// SHA-256 of the proven token, in hex.
    pub token_hash: &'a str,
    /// Time to live of the proven token.
    pub ttl_ms: u64,
    /// Tokens allowed per minute (0: any number).
    pub per_minute: u32,
    /// Least time between two proven tokens of a user (0: none).
    pub interval_ms: u64,
    /// Most entries in the outbox, over all shards.
    pub outbox_max: u64,
    /// The anti-spam token that the proof was made for.
    pub anti_spam: Option<&'a InitToken>,
    /// Session that the request names, or empty.
    pub named_session: &'a str,
    /// Proof as JSON, or empty.
    pub proof: &'a str,
    /// The node's verdict on the proof.
    pub verdict: &'a ProofResult,
    /// Who judges the proof, and whether that is done.
    pub judging: Judging<'a>,
    /// The request's idempotency key, and the proven token, which is stored in the answer only.
    pub idempotency: Option<(&'a IdempotencyKey, &'a str)>,
}

/// An outcome and its circumstances.
#[derive(Debug)]
pub struct ProveReply {
    /// The outcome, of this request or of the first under its key.
    pub outcome: Result<ProvenFields, ScriptRefusal>,
    /// True if the answer was replayed for a repeated `Idempotency-Key`.
    pub replayed: bool,
    /// The user's rate-limit window.
    pub rate: Option<RateWindow>,
}

impl ProveReply {
    /// The verdict on the proof, if the client may know it: the proof bought a token, or failed for good.
    pub fn revealed_verdict(&self) -> Option<bool> {
        match self.outcome {
            _ if self.replayed => None,
            Ok(_) => Some(true),
            Err(ScriptRefusal::ProofInvalid { .. }) => Some(false),
            Err(_) => None,
        }
    }
}

impl Store {
    /// Exchanges a proof for a proven token.
    ///
    /// # Errors
    /// Redis is unavailable, or the reply has another shape.
    pub async fn prove(&self, prove: &Prove<'_>) -> Result<ProveReply, Fault> {
        let shard = self.shard(prove.user);
        let mut reply = self.run(shard, &prove.call(self, shard)).await?;
        let code = reply.code()?;
        let rate = reply.rate(prove.per_minute)?;
        let replayed = reply.next::<u8>()? == 1;
        let outcome = match code {
            ReplyCode::Ok => Ok(ProvenFields::read(&mut reply)?),
            code => Err(ScriptRefusal::read(code, &mut reply)?),
        };
        let outcome = match (outcome, prove.init_id_text()) {
            (Err(ScriptRefusal::TokenUnknown), Some(id)) => Err(self.find_elsewhere(shard, &id).await?),
            (outcome, _) => outcome,
        };
        Ok(ProveReply { outcome, replayed, rate })
    }

    /// Action and points of a proven token, if it can still be redeemed. `redeem` checks it again.
    ///
    /// # Errors
    /// Redis is unavailable.
    pub async fn proven_for(&self, user: Uuid, token_hash: &str) -> Result<Option<(String, u64)>, Fault> {
        let shard = self.shard(user);
        let mut get = redis::cmd("GET");
        get.arg(shard.keys.token(token_hash));
        let stored: Option<String> = self.ask(shard, "read_token", &get).await?;
        Ok(stored.and_then(|stored| {
            let words: Vec<&str> = stored.split(' ').collect();
            Some((words.get(1)?.to_string(), words.get(4)?.parse().ok()?))
        }))
    }
}

impl<'a> Prove<'a> {
    fn init_id_text(&self) -> Option<String> {
        self.anti_spam.map(|init| init.id.to_string())
    }

    fn call<'c>(&'c self, store: &Store, shard: &'c Shard) -> ProveCall<'c>
    where
        'a: 'c,
    {
        let (names, init_id) = (&shard.keys, self.init_id_text());
        // The script does not read it.
        let unused = || (&names.outbox).into();
        let (key, reservation) = (self.idempotency, self.judging.reservation());
        let init_key =
            |name: &dyn Fn(&str) -> String| init_id.as_deref().map_or_else(unused, |id| name(id).into());
        ProveCall {
            shard_state: (&names.shard_state).into(),
            outbox: (&names.outbox).into(),
            token: names.token(self.token_hash).into(),
            spent: names.spent(self.token_hash).into(),
            rate: names.init_rate(self.user).into(),
            ban: names.ban(self.user).into(),
            limit: names.action_limit(self.user, self.action).into(),
            interval: names.proven(self.user).into(),
            session: names.session(self.user).into(),
            init: init_key(&|id| names.token(id)),
            init_spent: init_key(&|id| names.spent(id)),
            answer: key.map_or_else(unused, |(key, _)| names.answer(self.user, &key.key_digest).into()),
            judging: init_key(&|id| names.judging(id)),
            once: self.verdict.once.iter().map(|digest| names.once(digest)).collect(),
            user: self.user,
            action: self.action,
            points: self.points,
            attempt_id: self.attempt_id,
            token_hash: self.token_hash,
            ttl_ms: self.ttl_ms,
            rate_limit: self.per_minute,
            rate_window_ms: MINUTE_MS,
            interval_ms: self.interval_ms,
            limits: self.limits,
            outbox_max: store.outbox_share(self.outbox_max),
            init_id: self.anti_spam.map(|init| init.id),
            init_hash: self.anti_spam.map(|init| init.hash.as_str()),
            init_expires_s: self.anti_spam.map_or(0, |init| init.expires_s),
            named_session: self.named_session,
            proof: self.proof,
            verdict: self.judging.verdict_text(self.verdict),
            proof_span: span_text(self.verdict),
            result: self.verdict.award.to_json(),
            request_digest: key.map(|(key, _)| key.request_digest.as_str()),
            answer_ttl_ms: key.map(|(key, _)| key.answer_ttl_ms),
            proven_token: key.map(|(_, token)| token),
            latest: shard.latest_position(),
            reservation,
        }
    }
}
