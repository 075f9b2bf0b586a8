//! `lua/count_above.lua`: exact ranks over several shards. A rank is 1 + the users above in each shard, so it needs a call to every shard.
//! Requests that wait at the same time share one call, so a rank gets cheaper as load grows.

use std::sync::Arc;

use futures::future::join_all;
use tokio::sync::Mutex;
use tokio::sync::oneshot::error::TryRecvError;

use crate::batch::Batch;
use crate::error::Fault;
use crate::store::board::merged::MergedBoard;
use crate::store::script::declaration::script;
use crate::store::shard::Shard;
use crate::store::{BoardId, Store};

script! {
    count_above as CountAboveCall needs []
    keys [board]
    args {}
    more_args { scores: u64 }
}

/// The answer to one shared call.
#[derive(Clone, Default, PartialEq)]
struct Answer {
    /// For each shard that answered: how many users are above each score.
    counts: Vec<Option<Vec<u64>>>,
    /// The merged board, if a request wanted it and it is newer than that request's.
    board: Option<Arc<MergedBoard>>,
}

/// One caller's scores.
struct RankRequest {
    scores: Vec<u64>,
    /// The board version that the caller has, if it wants a newer one.
    known_version: Option<i64>,
}

/// Global ranks of some scores.
pub struct Ranks<const N: usize> {
    /// In the order of the scores.
    pub ranks: [u64; N],
    /// False: a shard did not answer, so the ranks assume that it is like the others.
    pub exact: bool,
    /// The merged board, if the caller wanted it and it is newer.
    pub board: Option<Arc<MergedBoard>>,
}

/// The requests that wait, and the turn to call for all of them.
#[derive(Default)]
pub struct RankBatcher {
    waiting: Batch<RankRequest, Answer>,
    turn: Mutex<()>,
}

impl Store {
    /// Global ranks of scores, given with their ranks in one shard (0: none).
    ///
    /// # Errors
    /// A shard does not answer.
    pub(in crate::store) async fn ranks<const N: usize>(
        &self,
        shard: &Shard,
        scores: [(u64, u64); N],
    ) -> Result<[u64; N], Fault> {
        let ranks = self.estimated_ranks(shard, scores, None).await;
        if ranks.exact {
            Ok(ranks.ranks)
        } else {
            Err(Fault::retryable("count_above", "a shard does not answer"))
        }
    }

    /// The same with estimates for shards that do not answer; and the merged board, if it is newer than a known version.
    pub(in crate::store) async fn estimated_ranks<const N: usize>(
        &self,
        shard: &Shard,
        scores: [(u64, u64); N],
        known_version: Option<i64>,
    ) -> Ranks<N> {
        if self.merged.is_none() {
            return Ranks { ranks: scores.map(|(_, rank)| rank), exact: true, board: None };
        }
        let Answer { mut counts, board } =
            self.shared(scores.map(|(score, _)| score).to_vec(), known_version).await;
        // The award's script has counted in its own shard.
        counts.remove(shard.number);
        let answered: Vec<&Vec<u64>> = counts.iter().flatten().collect();
        let exact = answered.len() == counts.len();
        let (shards, known) = (self.shards.len() as u64, answered.len() as u64 + 1);
        let mut place = 0..N;
        let ranks = scores.map(|(_, rank)| {
            let at = place.next().unwrap_or_default();
            let above: u64 = answered.iter().map(|counts| counts.get(at).copied().unwrap_or(0)).sum();
            if rank == 0 { 0 } else { 1 + (rank - 1 + above) * shards / known }
        });
        Ranks { ranks, exact, board }
    }

    /// Waits for the turn and calls for every request that waits by then, unless the call before included this one. That call may have
    /// been canceled halfway; then it is made again.
    async fn shared(&self, scores: Vec<u64>, known_version: Option<i64>) -> Answer {
        loop {
            let request = RankRequest { scores: scores.clone(), known_version };
            let mut receiver = self.rank_batcher.waiting.add(request);
            let _turn = self.rank_batcher.turn.lock().await;
            let mut answer = receiver.try_recv();
            if answer == Err(TryRecvError::Empty) {
                self.answer_waiting().await;
                answer = receiver.try_recv();
            }
            if let Ok(answer) = answer {
                return answer;
            }
        }
    }

    async fn answer_waiting(&self) {
        let waiting = self.rank_batcher.waiting.take();
        let scores: Vec<u64> =
            waiting.iter().flat_map(|waiter| waiter.request.scores.iter().copied()).collect();
        let known_version = waiting.iter().filter_map(|waiter| waiter.request.known_version).min();
        let (counts, board) = futures::join!(self.count_above(&scores), self.newer_board(known_version));
        let mut first = 0;
        for waiter in waiting {
            let request = &waiter.request;
            let range = first..first + request.scores.len();
            first = range.end;
            let in_range =
                |counts: &Option<Vec<u64>>| counts.as_ref()?.get(range.clone()).map(<[u64]>::to_vec);
            let is_newer = |board: &&Arc<MergedBoard>| {
                request.known_version.is_some_and(|known_version| board.version > known_version)
            };
            let answer = Answer {
                counts: counts.iter().map(in_range).collect(),
                board: board.as_ref().filter(is_newer).cloned(),
            };
            // The caller may be gone.
            let _ = waiter.reply(answer);
        }
    }

    async fn count_above(&self, scores: &[u64]) -> Vec<Option<Vec<u64>>> {
        let counts = self.shards.iter().map(|shard| async {
            // Do not wait for a server that did not answer just now. The poll notices when it is back.
            if shard.server().is_silent() {
                return None;
            }
            let reply = self
                .run(
                    shard,
                    &CountAboveCall { board: (&shard.keys.board(BoardId::GLOBAL).scores).into(), scores },
                )
                .await;
            reply.and_then(|reply| reply.rest()).ok()
        });
        join_all(counts).await
    }

    async fn newer_board(&self, known_version: Option<i64>) -> Option<Arc<MergedBoard>> {
        let board = self.merge_shard(self.merged.as_ref()?, None, known_version?, 0).await;
        let board = board.inspect_err(|fault| tracing::debug!(%fault, "reading the merged board failed"));
        board.ok().map(Arc::new)
    }
}
