//! `lua/count_above.lua`: exact ranks over several shards. A rank is 1 + the users above in each shard, so it costs a question to every
//! shard; those who ask at one time share it, so that what a rank costs falls as load grows.

use std::sync::Arc;

use futures::future::join_all;
use parking_lot::Mutex;
use tokio::sync::oneshot::{self, error::TryRecvError};

use super::Store;
use super::gather::Face;
use super::shard::Shard;
use crate::error::Fault;

/// What is asked in one go.
#[derive(Clone, Default, PartialEq)]
struct Answer {
    /// How many users are above some scores, in each shard that answered.
    counts: Vec<Option<Vec<u64>>>,
    /// The merged board, if somebody wanted it and it is newer than what they had.
    face: Option<Arc<Face>>,
}

struct Asker {
    scores: Vec<u64>,
    /// The board that the asker has, if it wants a newer one.
    known_version: Option<i64>,
    tell: oneshot::Sender<Answer>,
}

/// Where scores stand among all.
pub struct Among<const N: usize> {
    /// In the order of the scores.
    pub ranks: [u64; N],
    /// False: a shard did not answer, and was taken to be like the others.
    pub exact: bool,
    /// The merged board, if it was wanted and is newer.
    pub face: Option<Arc<Face>>,
}

/// Who asks at this moment.
#[derive(Default)]
pub struct Above {
    waiting: Mutex<Vec<Asker>>,
    turn: tokio::sync::Mutex<()>,
}

impl Store {
    /// Ranks among all, of scores with the rank each has in one shard (0: none).
    ///
    /// # Errors
    /// A shard does not answer.
    pub(super) async fn ranks<const N: usize>(
        &self,
        shard: &Shard,
        scores: [(u64, u64); N],
    ) -> Result<[u64; N], Fault> {
        let among = self.among(shard, scores, None).await;
        if among.exact {
            Ok(among.ranks)
        } else {
            Err(Fault::retryable("count_above", "a shard does not answer"))
        }
    }

    /// The same with estimates where a shard does not answer; and the merged board, if it is newer than a known version.
    pub(super) async fn among<const N: usize>(
        &self,
        shard: &Shard,
        scores: [(u64, u64); N],
        known_version: Option<i64>,
    ) -> Among<N> {
        if self.face.is_none() {
            return Among { ranks: scores.map(|(_, rank)| rank), exact: true, face: None };
        }
        let Answer { mut counts, face } =
            self.shared(scores.map(|(score, _)| score).to_vec(), known_version).await;
        // There the script has counted, in the same step.
        counts.remove(shard.number);
        let answered: Vec<&Vec<u64>> = counts.iter().flatten().collect();
        let exact = answered.len() == counts.len();
        let (shards, known) = (self.shards.len() as u64, answered.len() as u64 + 1);
        let mut place = 0..N;
        let ranks = scores.map(|(_, rank)| {
            let at = place.next().unwrap_or_default();
            let above: u64 = answered.iter().map(|it| it.get(at).copied().unwrap_or(0)).sum();
            if rank == 0 { 0 } else { 1 + (rank - 1 + above) * shards / known }
        });
        Among { ranks, exact, face }
    }

    /// Waits for a turn, and asks for all who wait by then, unless the one before has asked for this one too. That one may have been
    /// given up in the middle: then it is asked again.
    async fn shared(&self, scores: Vec<u64>, known_version: Option<i64>) -> Answer {
        loop {
            let (tell, mut told) = oneshot::channel();
            self.above.waiting.lock().push(Asker { scores: scores.clone(), known_version, tell });
            let _turn = self.above.turn.lock().await;
            let mut answer = told.try_recv();
            if answer == Err(TryRecvError::Empty) {
                self.ask_for_all().await;
                answer = told.try_recv();
            }
            if let Ok(answer) = answer {
                return answer;
            }
        }
    }

    async fn ask_for_all(&self) {
        let askers = std::mem::take(&mut *self.above.waiting.lock());
        let scores: Vec<u64> = askers.iter().flat_map(|it| it.scores.iter().copied()).collect();
        let known_version = askers.iter().filter_map(|it| it.known_version).min();
        let (counts, face) = futures::join!(self.count_above(&scores), self.newer_face(known_version));
        let mut first = 0;
        for asker in askers {
            let its = first..first + asker.scores.len();
            first = its.end;
            let of_shard = |it: &Option<Vec<u64>>| it.as_ref()?.get(its.clone()).map(<[u64]>::to_vec);
            let newer = |it: &&Arc<Face>| asker.known_version.is_some_and(|known| it.version > known);
            let answer = Answer {
                counts: counts.iter().map(of_shard).collect(),
                face: face.as_ref().filter(newer).cloned(),
            };
            // Its request may have ended.
            let _ = asker.tell.send(answer);
        }
    }

    async fn count_above(&self, scores: &[u64]) -> Vec<Option<Vec<u64>>> {
        let arguments: Vec<String> = scores.iter().map(u64::to_string).collect();
        let asked = self.shards.iter().map(|shard| async {
            // Nobody waits for one that was silent just now; those who look at it notice when it is back.
            if shard.server().is_silent() {
                return None;
            }
            let reply = self.run(shard, &self.scripts.count_above, &[&shard.keys.board], &arguments).await;
            reply.and_then(|it| it.rest()).ok()
        });
        join_all(asked).await
    }

    async fn newer_face(&self, known_version: Option<i64>) -> Option<Arc<Face>> {
        let face = self.merge_shard(self.face.as_ref()?, None, known_version?, 0).await;
        let face = face.inspect_err(|fault| tracing::debug!(%fault, "the merged board is not looked at"));
        face.ok().map(Arc::new)
    }
}
