//! `lua/above.lua`: exact ranks over several shards. A rank is 1 + the users above in each shard, so it costs a question to every
//! shard; those who ask at one time share it, so that what a rank costs falls as load grows.

use futures::future::join_all;
use parking_lot::Mutex;
use tokio::sync::oneshot::{self, error::TryRecvError};

use super::Store;
use super::shard::Shard;
use crate::error::Fault;

/// How many users are above some scores, in each shard that answered.
type Counts = Vec<Option<Vec<u64>>>;

struct Asker {
    scores: Vec<u64>,
    tell: oneshot::Sender<Counts>,
}

/// Who asks at this moment.
#[derive(Default)]
pub struct Above {
    waiting: Mutex<Vec<Asker>>,
    turn: tokio::sync::Mutex<()>,
}

impl Store {
    /// Ranks among all, of scores with the rank each has in the shard `own` (0: none).
    ///
    /// # Errors
    /// A shard does not answer.
    pub(super) async fn ranks<const N: usize>(
        &self,
        own: &Shard,
        scores: [(u64, u64); N],
    ) -> Result<[u64; N], Fault> {
        let (ranks, exact) = self.ranks_or_estimates(Some(own), scores).await;
        if exact { Ok(ranks) } else { Err(Fault::away("count who is above", "a shard does not answer")) }
    }

    /// The same; where a shard does not answer it is taken to be like the others, and the second value says that it was. A shard
    /// that has said the rank itself is not counted again: by now the user has more points there, and is above who he was. Without
    /// one, the rank of a score is given as 1.
    pub(super) async fn ranks_or_estimates<const N: usize>(
        &self,
        own: Option<&Shard>,
        scores: [(u64, u64); N],
    ) -> ([u64; N], bool) {
        if self.shards.len() == 1 || scores.iter().all(|(_, rank)| *rank == 0) {
            return (scores.map(|(_, rank)| rank), true);
        }
        let counts = self.above(scores.map(|(score, _)| score).to_vec()).await;
        let others = counts.iter().enumerate().filter(|(shard, _)| own.is_none_or(|it| it.number != *shard));
        let others: Vec<&Option<Vec<u64>>> = others.map(|(_, counts)| counts).collect();
        let answered: Vec<&Vec<u64>> = others.iter().copied().flatten().collect();
        let exact = answered.len() == others.len();
        let mut place = 0..N;
        let ranks = scores.map(|(_, rank)| {
            let at = place.next().unwrap_or_default();
            let above: u64 = answered.iter().map(|it| it.get(at).copied().unwrap_or(0)).sum();
            let all = above * others.len() as u64 / answered.len().max(1) as u64;
            if rank == 0 { 0 } else { rank + all }
        });
        (ranks, exact)
    }

    /// Waits for a turn, and asks for all who wait by then, unless the one before has asked for this one too. That one may have been
    /// given up in the middle: then it is asked again.
    async fn above(&self, scores: Vec<u64>) -> Counts {
        loop {
            let (tell, mut told) = oneshot::channel();
            self.above.waiting.lock().push(Asker { scores: scores.clone(), tell });
            let _turn = self.above.turn.lock().await;
            let mut answer = told.try_recv();
            if answer == Err(TryRecvError::Empty) {
                self.ask_for_all().await;
                answer = told.try_recv();
            }
            if let Ok(counts) = answer {
                return counts;
            }
        }
    }

    async fn ask_for_all(&self) {
        let askers = std::mem::take(&mut *self.above.waiting.lock());
        let all: Vec<u64> = askers.iter().flat_map(|it| it.scores.iter().copied()).collect();
        let counts = self.ask_above(&all).await;
        let mut first = 0;
        for asker in askers {
            let its = first..first + asker.scores.len();
            first = its.end;
            let its =
                counts.iter().map(|it| it.as_ref().and_then(|it| it.get(its.clone())).map(<[u64]>::to_vec));
            // Its request may have ended.
            let _ = asker.tell.send(its.collect());
        }
    }

    async fn ask_above(&self, scores: &[u64]) -> Counts {
        let arguments: Vec<String> = scores.iter().map(u64::to_string).collect();
        let asked = self.shards.iter().map(|shard| async {
            let reply = self.run(shard, &self.scripts.above, &[&shard.keys.board], &arguments).await;
            reply.and_then(|it| it.rest()).ok()
        });
        join_all(asked).await
    }
}
