//! `lua/redeem.lua`.

use uuid::Uuid;

use super::judging::Judging;
use super::keys::{self, Keys};
use super::redeemed::{Awarded, RedeemOutcome, Redeemed, read};
use super::shard::Shard;
use super::{Store, limits_text, span_text};
use crate::action::{Flow, Limits, ProofResult};
use crate::error::Fault;

/// An `Idempotency-Key` and the request it came with, both as digests in hex.
#[derive(Clone, Debug)]
pub struct IdempotencyKey {
    /// Of the key.
    pub key_digest: String,
    /// Of the door and the body.
    pub request_digest: String,
    /// How long the answer is kept.
    pub kept_ms: u64,
}

/// The token that a game token gives way to.
#[derive(Clone, Debug)]
pub struct NextToken {
    /// The token.
    pub token: String,
    /// Its SHA-256, in hex.
    pub hash: String,
}

/// What `redeem` needs to know.
pub struct Redeem<'a> {
    /// Who redeems.
    pub user: Uuid,
    /// The user's serial number.
    pub number: i64,
    /// The name that boards show.
    pub username: &'a str,
    /// The action that the token is for.
    pub action: &'a str,
    /// What the catalogue gives for it.
    pub points: u64,
    /// The most that the catalogue could give for it, whatever the proof; at least `points`.
    pub most_points: u64,
    /// The action's own limits.
    pub limits: &'a Limits,
    /// The attempt's id, the event id of the award.
    pub attempt_id: Uuid,
    /// What Redis knows the token by: the attempt's id, or a game token's hash.
    pub token_id: &'a str,
    /// SHA-256 of the token, in hex.
    pub token_hash: &'a str,
    /// Where the token comes from.
    pub flow: Flow,
    /// An anti-spam token's `exp`, rounded up; 0 for the others, whose end Redis knows.
    pub expires_s: i64,
    /// The session that the request names, or empty.
    pub named_session: &'a str,
    /// The proof that was given, as JSON, or empty.
    pub proof: &'a str,
    /// What a node can say about it.
    pub verdict: &'a ProofResult,
    /// Whether a webhook has to judge it, and did.
    pub judging: Judging<'a>,
    /// Attempts allowed in a minute (0: any).
    pub per_minute: u32,
    /// Points allowed in an hour (0: any).
    pub points_per_hour: u64,
    /// Most entries in the outbox.
    pub outbox_max: u64,
    /// Version of the board that this node holds.
    pub known_version: i64,
    /// Its ten, as entries; asked for where Redis cannot say it.
    pub known_top: &'a (dyn Fn() -> Vec<String> + Sync),
    /// Least time between publications.
    pub publish_interval_ms: u64,
    /// The request's idempotency key.
    pub idempotency: Option<&'a IdempotencyKey>,
    /// What a game token gives way to, at the game door and there alone.
    pub next: Option<&'a NextToken>,
    /// Name of the key that signs the receipt.
    pub receipt_kid: &'a str,
}

impl Store {
    /// Whether there is a first answer under a key, which `redeem` gives again.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn has_answer(&self, user: Uuid, key: &IdempotencyKey) -> Result<bool, Fault> {
        let shard = self.shard(user);
        let mut exists = redis::cmd("EXISTS");
        exists.arg(shard.keys.answer(user, &key.key_digest));
        self.ask(shard, "find_kept_answer", &exists).await
    }

    /// Redeems a token: the only function that adds points.
    ///
    /// # Errors
    /// Redis is away, or answers what the script cannot.
    pub async fn redeem(&self, redeem: &Redeem<'_>) -> Result<Redeemed, Fault> {
        let shard = self.shard(redeem.user);
        let keys = redeem.keys(&shard.keys);
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let mut arguments = redeem.arguments(self, shard);
        let span = super::script_span("redeem");
        // Whoever writes the award to the ledger, or shows it, goes on from here.
        let parent = span.traceparent();
        let reservation = redeem.judging.reservation();
        if parent.is_some() || reservation.is_some() {
            arguments.extend([parent.unwrap_or_default(), keys::TRACE_CHANNEL.to_owned()]);
            arguments.extend(reservation.map(|it| it.text()));
        }
        let reply = self.run_in(span, shard, &self.scripts.redeem, &keys, &arguments).await?;
        let (redeemed, epoch) = read(reply, redeem.per_minute)?;
        if let RedeemOutcome::Awarded(Awarded { stamp: Some(stamp), .. }) = &redeemed.outcome
            && !redeemed.replayed
        {
            shard.see(epoch, stamp.hlc_us);
        }
        let outcome = match redeemed.outcome {
            RedeemOutcome::Awarded(awarded) if awarded.flush_due_ms < 0 => {
                let among = self.among_all(shard, redeem, awarded, epoch, redeemed.replayed).await;
                RedeemOutcome::Awarded(among)
            }
            RedeemOutcome::TokenUnknown => match self.elsewhere(shard, Some(redeem.token_id)).await? {
                Elsewhere::Nowhere => RedeemOutcome::TokenUnknown,
                Elsewhere::There => RedeemOutcome::TokenForeign,
                Elsewhere::Used => RedeemOutcome::TokenUsed,
                Elsewhere::Expired => RedeemOutcome::TokenExpired,
            },
            outcome => outcome,
        };
        Ok(Redeemed { outcome, ..redeemed })
    }

    /// What a token is that a user's shard does not know: another user's may lie in another shard.
    pub(super) async fn elsewhere(&self, shard: &Shard, token_id: Option<&str>) -> Result<Elsewhere, Fault> {
        let Some(token_id) = token_id else { return Ok(Elsewhere::Nowhere) };
        for other in self.shards.iter().filter(|it| it.number != shard.number) {
            let mut look = redis::pipe();
            look.exists(other.keys.token(token_id)).get(other.keys.spent(token_id));
            match self.ask_all(other, "find_token", &look).await? {
                (true, _) => return Ok(Elsewhere::There),
                (_, Some(1)) => return Ok(Elsewhere::Used),
                (_, Some(0)) => return Ok(Elsewhere::Expired),
                _ => {}
            }
        }
        Ok(Elsewhere::Nowhere)
    }
}

/// What the other shards know of a token.
pub(super) enum Elsewhere {
    Nowhere,
    There,
    Used,
    Expired,
}

impl Redeem<'_> {
    pub(super) fn keys(&self, names: &Keys) -> Vec<String> {
        let unused = || names.state.clone();
        let mut keys = vec![
            names.board.clone(),
            names.state.clone(),
            names.top.clone(),
            names.throttle.clone(),
            names.outbox.clone(),
            names.user_score(self.user),
            names.token(self.token_id),
            names.spent(self.token_id),
            names.award_rate(self.user),
            names.ban(self.user),
            names.action_limit(self.user, self.action),
            names.points(self.user),
            // Without an idempotency key the script does not look at this one.
            self.idempotency.map_or_else(unused, |it| names.answer(self.user, &it.key_digest)),
            names.session(self.user),
            // Away from the game door it does not look at this one.
            self.next.map_or_else(unused, |it| names.token(&it.hash)),
            names.quarantine(self.user),
        ];
        keys.extend(self.judging.reservation().map(|_| names.judging(self.token_id)));
        keys.extend(self.verdict.once.iter().map(|it| names.once(it)));
        keys
    }

    pub(super) fn arguments(&self, store: &Store, shard: &Shard) -> Vec<String> {
        let key = self.idempotency;
        let flow = match self.flow {
            Flow::Actions => "actions",
            Flow::Tokens => "scores",
            Flow::Game => "game",
        };
        vec![
            self.user.to_string(),
            self.number.to_string(),
            self.username.to_owned(),
            self.action.to_owned(),
            self.points.to_string(),
            self.attempt_id.to_string(),
            self.token_hash.to_owned(),
            flow.to_owned(),
            self.expires_s.to_string(),
            self.named_session.to_owned(),
            self.proof.to_owned(),
            self.judging.verdict_text(self.verdict),
            span_text(self.verdict),
            self.per_minute.to_string(),
            limits_text(self.limits),
            self.points_per_hour.to_string(),
            store.share_of(self.outbox_max),
            store.known_version(shard, self.known_version).to_string(),
            self.publish_interval_ms.to_string(),
            store.board_channel(),
            store.channel_of(self.user),
            key.map(|it| it.request_digest.clone()).unwrap_or_default(),
            key.map(|it| it.kept_ms.to_string()).unwrap_or_default(),
            shard.least(),
            self.receipt_kid.to_owned(),
            self.next.map(|it| it.token.clone()).unwrap_or_default(),
            self.next.map(|it| it.hash.clone()).unwrap_or_default(),
            self.most_points.max(self.points).to_string(),
        ]
    }
}
