//! The distribution of the board's scores. Not for the award path.

use futures::future::try_join_all;

use crate::error::Fault;
use crate::store::{BoardId, Store};

/// Users with a score in a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Least score of the range.
    pub from: u64,
    /// The scores are below this; none: no upper end.
    pub to: Option<u64>,
    /// Users in the range.
    pub users: u64,
}

/// Percentiles of the board's scores.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BoardShape {
    /// Users on the board.
    pub users: u64,
    /// 50 % of the users have no more than this.
    pub p50: u64,
    /// 90 % have no more.
    pub p90: u64,
    /// 99 % have no more.
    pub p99: u64,
    /// The best score.
    pub max: u64,
}

impl Store {
    /// Counts the board's users and finds the percentiles of their scores.
    ///
    /// # Errors
    /// Redis is unavailable.
    pub async fn board_shape(&self) -> Result<BoardShape, Fault> {
        let buckets = self.buckets(&decades()).await?;
        let users: u64 = buckets.iter().map(|it| it.users).sum();
        let max = self.greatest().await?;
        let mut marks = [0; 3];
        for (mark, part) in marks.iter_mut().zip([50, 90, 99]) {
            *mark = self.mark(&buckets, (users * part).div_ceil(100), max).await?;
        }
        Ok(BoardShape { users, p50: marks[0], p90: marks[1], p99: marks[2], max })
    }

    /// Counts the users between ascending edges, and from the last edge up. Each count takes O(log n) in each shard.
    ///
    /// # Errors
    /// Redis is unavailable.
    pub async fn buckets(&self, edges: &[u64]) -> Result<Vec<Bucket>, Fault> {
        let counts = self.counts(edges).await?;
        let bucket = |(place, users)| Bucket { from: edges[place], to: edges.get(place + 1).copied(), users };
        Ok(counts.into_iter().enumerate().map(bucket).collect())
    }

    /// Users between the edges, over all shards.
    async fn counts(&self, edges: &[u64]) -> Result<Vec<u64>, Fault> {
        let counts = self.shards.iter().map(|shard| async move {
            let mut pipeline = redis::pipe();
            pipeline.atomic();
            for (place, from) in edges.iter().enumerate() {
                let to = edges.get(place + 1).map_or("+inf".to_owned(), |edge| format!("({edge}"));
                pipeline.zcount(&shard.keys.board(BoardId::GLOBAL).scores, *from, to);
            }
            self.ask_all::<Vec<u64>>(shard, "read_score_distribution", &pipeline).await
        });
        let counts = try_join_all(counts).await?;
        Ok((0..edges.len()).map(|place| counts.iter().map(|counts| counts[place]).sum()).collect())
    }

    /// The least score that `place` users do not exceed, by bisection within its bucket.
    async fn mark(&self, buckets: &[Bucket], place: u64, max: u64) -> Result<u64, Fault> {
        let mut below = 0;
        let class = buckets.iter().find(|bucket| {
            below += bucket.users;
            place > 0 && below >= place
        });
        let Some(class) = class else { return Ok(0) };
        let (mut low, mut high) = (class.from, class.to.map_or(max, |end| end - 1).min(max));
        while low < high {
            let middle = low + (high - low) / 2;
            let counts = self.shards.iter().map(|shard| async move {
                let mut count = redis::cmd("ZCOUNT");
                count.arg(&shard.keys.board(BoardId::GLOBAL).scores).arg("-inf").arg(middle);
                self.ask::<u64>(shard, "read_score_distribution", &count).await
            });
            let users: u64 = try_join_all(counts).await?.into_iter().sum();
            if users >= place { high = middle } else { low = middle + 1 }
        }
        Ok(low)
    }

    async fn greatest(&self) -> Result<u64, Fault> {
        let mut greatest = 0;
        for shard in 0..self.shards.len() {
            greatest = greatest.max(self.best(shard, 1).await?.first().map_or(0, |it| it.1));
        }
        Ok(greatest)
    }
}

/// Edges 0, 1, 2, 5, 10, … up to the largest possible score, so that bisection is short for scores of any size.
fn decades() -> Vec<u64> {
    let decades = (0..16).flat_map(|power| [1, 2, 5].map(|factor| factor * 10u64.pow(power)));
    std::iter::once(0).chain(decades).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_score_is_in_a_decade() {
        let edges = decades();
        assert_eq!(edges[..7], [0, 1, 2, 5, 10, 20, 50]);
        let last = *edges.last().unwrap();
        assert!(edges.is_sorted() && last < 1 << 53 && 10 * last > 1 << 53);
    }
}
