//! `lua/redeem.lua`.

use std::sync::Arc;

use redis::{Arg, Cmd, Value};
use uuid::Uuid;

use crate::action::{Flow, Limits, ProofResult};
use crate::batch::{Turn, Waiter};
use crate::error::Fault;
use crate::store::commands::judging::{Judging, Reservation};
use crate::store::commands::redeem_reply::{AwardFields, RedeemHead, RedeemReply, read};
use crate::store::commands::script_refusal::ScriptRefusal;
use crate::store::connection::redis_error::script_error;
use crate::store::script::declaration::{ScriptCall, script};
use crate::store::script::reply::Reply;
use crate::store::script::{SCRIPTS, Script, USUAL_ARGUMENTS, USUAL_BYTES};
use crate::store::shard::Shard;
use crate::store::{BoardEntry, BoardId, ShardPosition, Store, fail, script_span, span_text};
use crate::traces::Span;

script! {
    redeem as RedeemCall
        needs [reply clock epoch rate limits session token proof attempts judging answer entry board personal_update outbox]
    shared_keys [board shard_state board_state top throttle outbox]
    shared_args {
        outbox_max: u64 => tonumber,
        known_version: i64 => tonumber,
        publish_interval_ms: u64,
        board_channel: Option<&'a str>,
        user_channels: Option<&'static str>,
        trace_channel: &'a str,
        latest: ShardPosition,
        receipt_kid: &'a str,
    }
    keys [token spent score ban session quarantine]
    optional_keys [next rate limit hour_points answer judging]
    more_keys once
    args {
        user: Uuid,
        name: String,
        action: &'a str,
        points: u64,
        attempt_id: Uuid,
        token_hash: &'a str,
        flow: Flow,
        verdict: &'static str,
    }
    optional {
        expires_s: i64 => tonumber,
        next_token: &'a str,
        next_hash: &'a str,
        rate_limit: u32 => tonumber,
        limits: &'a Limits => read_limits,
        points_per_hour: u64 => tonumber,
        request_digest: &'a str,
        answer_ttl_ms: u64,
        most_points: u64 => tonumber,
        proof: &'a str,
        proof_span: String,
        result: String,
        named_session: &'a str,
        trace: String,
        reservation: &'a Reservation => read_reservation,
        attempts: &'a str,
    }
    fields { HEAD: RedeemHead, AWARD: AwardFields }
}

/// An `Idempotency-Key` and its request, both as digests in hex.
#[derive(Clone, Debug)]
pub struct IdempotencyKey {
    /// Digest of the key.
    pub key_digest: String,
    /// Digest of the flow and the body.
    pub request_digest: String,
    /// How long the answer is stored.
    pub answer_ttl_ms: u64,
}

/// The game token that replaces the redeemed one.
#[derive(Clone, Debug)]
pub struct NextToken {
    /// The token.
    pub token: String,
    /// Its SHA-256, in hex.
    pub hash: String,
}

/// Input of `redeem`.
pub struct Redeem<'a> {
    /// The board that shows the score.
    pub board: BoardId,
    /// UUID of the user.
    pub user: Uuid,
    /// The user's serial number.
    pub number: i64,
    /// The name that boards show.
    pub username: &'a str,
    /// Action type of the token.
    pub action: &'a str,
    /// Points in the catalogue.
    pub points: u64,
    /// The most points that any proof could be worth; at least `points`.
    pub most_points: u64,
    /// The action's own limits.
    pub limits: &'a Limits,
    /// Id of the attempt, which becomes the event id of the award.
    pub attempt_id: Uuid,
    /// The token's id in Redis: the attempt's id, or a game token's hash.
    pub token_id: &'a str,
    /// SHA-256 of the token, in hex.
    pub token_hash: &'a str,
    /// The flow of the token.
    pub flow: Flow,
    /// `exp` of an anti-spam token, rounded up to seconds; 0 for other tokens, whose expiry Redis has.
    pub expires_s: i64,
    /// Session that the request names, or empty.
    pub named_session: &'a str,
    /// Proof as JSON, or empty.
    pub proof: &'a str,
    /// The node's verdict on the proof.
    pub verdict: &'a ProofResult,
    /// Who judges the proof, and whether that is done.
    pub judging: Judging<'a>,
    /// Attempts allowed per minute (0: any number).
    pub per_minute: u32,
    /// Points allowed per hour (0: any number).
    pub points_per_hour: u64,
    /// Most entries in the outbox, over all shards.
    pub outbox_max: u64,
    /// Version of the board that this node holds.
    pub known_version: i64,
    /// The top list that this node holds, for an answer whose merged board cannot be read.
    pub known_top: &'a (dyn Fn() -> Vec<BoardEntry> + Sync),
    /// Least time between publications.
    pub publish_interval_ms: u64,
    /// The request's idempotency key.
    pub idempotency: Option<&'a IdempotencyKey>,
    /// The next game token; in the game flow only.
    pub next: Option<&'a NextToken>,
    /// Id of the key that signs the receipt.
    pub receipt_kid: &'a str,
    /// The rules of boards with `attempts` that count the action, for `lua/lib/attempts.lua`.
    pub attempts: Option<Arc<str>>,
}

impl Store {
    /// Whether an answer is stored under a key.
    ///
    /// # Errors
    /// Redis is unavailable.
    pub async fn has_answer(&self, user: Uuid, key: &IdempotencyKey) -> Result<bool, Fault> {
        let shard = self.shard(user);
        let mut exists = redis::cmd("EXISTS");
        exists.arg(shard.keys.answer(user, &key.key_digest));
        self.ask(shard, "find_answer", &exists).await
    }

    /// Redeems a token. No other function of a player's request adds points.
    ///
    /// # Errors
    /// Redis is unavailable, or the reply has another shape.
    pub async fn redeem(self: &Arc<Self>, redeem: &Redeem<'_>) -> Result<RedeemReply, Fault> {
        let shard = self.shard(redeem.user);
        let mut span = script_span("redeem");
        // The ledger and the fan-out continue the trace from here.
        let call = redeem.call(self, shard, span.traceparent());
        let reply = self.redeem_gathered(shard, &call).await.inspect_err(|fault| fail(&mut span, fault))?;
        drop(span);
        let (redeemed, epoch) = read(reply, redeem.per_minute)?;
        if let Ok(awarded) = &redeemed.outcome
            && !redeemed.replayed
        {
            shard.record_position(epoch, awarded.receipt_data.hlc_us);
        }
        let outcome = match redeemed.outcome {
            Ok(awarded) if awarded.flush_due_ms < 0 => {
                let estimated_ranks =
                    self.complete_award(shard, redeem, awarded, epoch, redeemed.replayed).await;
                Ok(estimated_ranks)
            }
            Err(ScriptRefusal::TokenUnknown) => Err(self.find_elsewhere(shard, redeem.token_id).await?),
            outcome => outcome,
        };
        Ok(RedeemReply { outcome, ..redeemed })
    }

    /// Redeems a token at once; or, while as many calls as may be are under way, in the next one with others that wait.
    async fn redeem_gathered(self: &Arc<Self>, shard: &Shard, call: &RedeemCall<'_>) -> Result<Reply, Fault> {
        match shard.redeems.begin(|| GatheredRedeem::new(call)) {
            Ok(turn) => {
                let _others = RedeemOthers { store: self.clone(), shard: shard.number, turn: Some(turn) };
                self.run_in(Span::default(), shard, call).await
            }
            Err(reply) => {
                reply.await.unwrap_or_else(|_| Err(Fault::new("redeem", "the calls were canceled")))
            }
        }
    }

    /// Redeems those that wait in one call, and replies to each.
    async fn redeem_list(&self, shard: &Shard, waiting: Vec<WaitingRedeem>) {
        let replies = self.run_in(Span::default(), shard, &RedeemListCall(&waiting)).await;
        let mut replies = replies.and_then(Reply::rest::<Value>).map(Vec::into_iter);
        for waiter in waiting {
            let reply = match &mut replies {
                Ok(replies) => read_element(replies.next()),
                Err(fault) => Err(fault.clone()),
            };
            // The caller may be gone.
            let _ = waiter.reply(reply);
        }
    }

    /// Looks in the other shards for a token that the user's shard does not have: it may be another user's.
    pub(in crate::store) async fn find_elsewhere(
        &self,
        shard: &Shard,
        token_id: &str,
    ) -> Result<ScriptRefusal, Fault> {
        for other in self.shards.iter().filter(|other| other.number != shard.number) {
            let mut pipeline = redis::pipe();
            pipeline.exists(other.keys.token(token_id)).get(other.keys.spent(token_id));
            match self.ask_all(other, "find_token", &pipeline).await? {
                (true, _) => return Ok(ScriptRefusal::TokenForeign),
                (_, Some(1)) => return Ok(ScriptRefusal::TokenUsed),
                (_, Some(0)) => return Ok(ScriptRefusal::TokenExpired),
                _ => {}
            }
        }
        Ok(ScriptRefusal::TokenUnknown)
    }
}

/// Most tokens of a call. Redis does nothing else for some 5 ms then.
const MAX_LIST: usize = 64;

/// A call that waits.
type WaitingRedeem = Waiter<GatheredRedeem, Result<Reply, Fault>>;

/// A call for a list.
pub struct GatheredRedeem {
    /// The keys and arguments that a list shares.
    shared: Cmd,
    /// The others: keys, then arguments.
    own: Cmd,
    /// Number of its keys.
    keys: usize,
}

impl GatheredRedeem {
    fn new(call: &RedeemCall<'_>) -> Self {
        let mut shared = Cmd::new();
        call.shared_keys().for_each(|key| _ = shared.arg(key));
        call.encode_shared_arguments(&mut shared);
        let mut own = Cmd::with_capacity(USUAL_ARGUMENTS, USUAL_BYTES);
        let keys = call.own_keys().map(|key| _ = own.arg(key)).count();
        call.encode_own_arguments(&mut own);
        Self { shared, own, keys }
    }
}

/// A turn to redeem tokens of a shard. When its first call has ended, or was canceled, a task makes the calls for those that wait.
struct RedeemOthers {
    store: Arc<Store>,
    shard: usize,
    turn: Option<Turn<GatheredRedeem, Result<Reply, Fault>>>,
}

impl Drop for RedeemOthers {
    fn drop(&mut self) {
        let Some(mut turn) = self.turn.take() else { return };
        if turn.end() {
            return;
        }
        let (store, shard) = (self.store.clone(), self.shard);
        tokio::spawn(async move {
            while !turn.end() {
                store.redeem_list(&store.shards[shard], turn.next(MAX_LIST)).await;
            }
        });
    }
}

/// Several calls of `redeem.lua` as one of `redeem_list.lua`. They share what the last one, which is the newest, knows.
struct RedeemListCall<'a>(&'a [WaitingRedeem]);

impl ScriptCall for RedeemListCall<'_> {
    fn script(&self) -> &'static Script {
        &SCRIPTS.redeem_list
    }

    fn encode(&self, command: &mut Cmd) {
        let calls = || self.0.iter().map(|waiter| &waiter.request);
        let Some(last) = calls().next_back() else { return };
        let shared_keys = RedeemCall::DECLARATION.shared_keys.len();
        command.arg(shared_keys + calls().map(|call| call.keys).sum::<usize>());
        words(&last.shared).take(shared_keys).for_each(|key| _ = command.arg(key));
        for call in calls() {
            words(&call.own).take(call.keys).for_each(|key| _ = command.arg(key));
        }
        words(&last.shared).skip(shared_keys).for_each(|argument| _ = command.arg(argument));
        for call in calls() {
            words(&call.own).skip(call.keys).for_each(|argument| _ = command.arg(argument));
        }
        let arguments = |call: &GatheredRedeem| call.own.args_iter().len() - call.keys;
        let counts = calls().flat_map(|call| [call.keys, arguments(call)]);
        // Both are far below 256: a proof has few attestations.
        command.arg(counts.map(|count| count as u8).collect::<Vec<u8>>());
    }
}

fn words(command: &Cmd) -> impl Iterator<Item = &[u8]> {
    command.args_iter().filter_map(|argument| match argument {
        Arg::Simple(word) => Some(word),
        _ => None,
    })
}

/// The reply to one call of a list: a text, or a list with the text of an error.
fn read_element(element: Option<Value>) -> Result<Reply, Fault> {
    match element {
        Some(reply @ Value::BulkString(_)) => Ok(Reply::new("redeem", reply)),
        Some(Value::Array(error)) => match error.first() {
            Some(Value::BulkString(text)) => Err(script_error("redeem", text)),
            _ => Err(Fault::new("redeem", "an error has no text")),
        },
        _ => Err(Fault::new("redeem", "the reply is too short")),
    }
}

impl<'a> Redeem<'a> {
    pub(in crate::store) fn call<'c>(
        &'c self,
        store: &Store,
        shard: &'c Shard,
        trace: Option<String>,
    ) -> RedeemCall<'c>
    where
        'a: 'c,
    {
        let (names, board) = (&shard.keys, shard.keys.board(self.board));
        let (key, reservation) = (self.idempotency, self.judging.reservation());
        let attempts_key = self.attempts.is_some().then(|| names.attempts(self.user));
        let once = self.verdict.once.iter().map(|digest| names.once(digest));
        let rate_limit = Some(self.per_minute).filter(|limit| *limit > 0);
        let points_per_hour = Some(self.points_per_hour).filter(|limit| *limit > 0);
        let limits = Some(self.limits).filter(|limits| **limits != Limits::default());
        let given = |text: &'c str| Some(text).filter(|text| !text.is_empty());
        RedeemCall {
            board: (&board.scores).into(),
            shard_state: (&names.shard_state).into(),
            board_state: (&board.state).into(),
            top: (&board.top).into(),
            throttle: (&board.throttle).into(),
            outbox: (&names.outbox).into(),
            outbox_max: store.outbox_share(self.outbox_max),
            known_version: store.known_version(shard, self.known_version),
            publish_interval_ms: self.publish_interval_ms,
            board_channel: store.script_channel(board),
            user_channels: store.user_channels(),
            trace_channel: &board.trace_channel,
            latest: shard.latest_position(),
            receipt_kid: self.receipt_kid,
            token: names.token(self.token_id).into(),
            spent: names.spent(self.token_id).into(),
            score: names.user_score(self.user).into(),
            ban: names.ban(self.user).into(),
            session: names.session(self.user).into(),
            quarantine: names.quarantine(self.user).into(),
            next: self.next.map(|next| names.token(&next.hash).into()),
            rate: rate_limit.map(|_| names.award_rate(self.user).into()),
            limit: limits.map(|_| names.action_limit(self.user, self.action).into()),
            hour_points: points_per_hour.map(|_| names.points(self.user).into()),
            answer: key.map(|key| names.answer(self.user, &key.key_digest).into()),
            judging: reservation.map(|_| names.judging(self.token_id).into()),
            once: attempts_key.into_iter().chain(once).collect(),
            user: self.user,
            name: format!("{} {}", self.number, self.username),
            action: self.action,
            points: self.points,
            attempt_id: self.attempt_id,
            token_hash: self.token_hash,
            flow: self.flow,
            verdict: self.judging.verdict_text(self.verdict),
            expires_s: Some(self.expires_s).filter(|expires_s| *expires_s > 0),
            next_token: self.next.map(|next| next.token.as_str()),
            next_hash: self.next.map(|next| next.hash.as_str()),
            rate_limit,
            limits,
            points_per_hour,
            request_digest: key.map(|key| key.request_digest.as_str()),
            answer_ttl_ms: key.map(|key| key.answer_ttl_ms),
            most_points: Some(self.most_points).filter(|most_points| *most_points > self.points),
            proof: given(self.proof),
            proof_span: Some(span_text(self.verdict)).filter(|span| !span.is_empty()),
            result: Some(self.verdict.award.to_json()).filter(|result| !result.is_empty()),
            named_session: given(self.named_session),
            trace,
            reservation,
            attempts: self.attempts.as_deref(),
        }
    }
}
