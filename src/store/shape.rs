//! How the board's scores are distributed. Not for the award path.

use futures::future::try_join_all;

use super::Store;
use crate::error::Fault;

/// Users with a score in a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// The least score in it.
    pub from: u64,
    /// The scores in it are below this; none if there is no end.
    pub to: Option<u64>,
    /// How many users there are.
    pub users: u64,
}

/// The board's scores at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BoardShape {
    /// Users on the board.
    pub users: u64,
    /// Half of them have no more than this.
    pub p50: u64,
    /// Nine of ten have no more.
    pub p90: u64,
    /// Ninety-nine of a hundred have no more.
    pub p99: u64,
    /// Nobody has more.
    pub max: u64,
}

impl Store {
    /// Counts the board's users and looks where the percentiles of their scores are.
    ///
    /// # Errors
    /// Redis is away.
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

    /// Counts the board's users from each edge to the next, and from the last one on. Edges ascend. Every count takes the logarithm of
    /// the board's size, in each shard.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn buckets(&self, edges: &[u64]) -> Result<Vec<Bucket>, Fault> {
        let counts = self.counts(edges).await?;
        let bucket = |(place, users)| Bucket { from: edges[place], to: edges.get(place + 1).copied(), users };
        Ok(counts.into_iter().enumerate().map(bucket).collect())
    }

    /// Users in each class, of all shards.
    async fn counts(&self, edges: &[u64]) -> Result<Vec<u64>, Fault> {
        let counts = self.shards.iter().map(|shard| async move {
            let mut pipeline = redis::pipe();
            pipeline.atomic();
            for (place, from) in edges.iter().enumerate() {
                let to = edges.get(place + 1).map_or("+inf".to_owned(), |it| format!("({it}"));
                pipeline.zcount(&shard.keys.board, *from, to);
            }
            self.ask_all::<Vec<u64>>(shard, "read_score_distribution", &pipeline).await
        });
        let counts = try_join_all(counts).await?;
        Ok((0..edges.len()).map(|place| counts.iter().map(|it| it[place]).sum()).collect())
    }

    /// The least score that so many users do not pass: looked for by halves in its class.
    async fn mark(&self, buckets: &[Bucket], place: u64, max: u64) -> Result<u64, Fault> {
        let mut below = 0;
        let class = buckets.iter().find(|it| {
            below += it.users;
            place > 0 && below >= place
        });
        let Some(class) = class else { return Ok(0) };
        let (mut low, mut high) = (class.from, class.to.map_or(max, |it| it - 1).min(max));
        while low < high {
            let middle = low + (high - low) / 2;
            let counts = self.shards.iter().map(|shard| async move {
                let mut count = redis::cmd("ZCOUNT");
                count.arg(&shard.keys.board).arg("-inf").arg(middle);
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

/// 0, 1, 2, 5, 10, … up to the greatest score there can be: a percentile is looked for in one of these, of a game of tens as of one of
/// billions.
fn decades() -> Vec<u64> {
    let decades = (0..16).flat_map(|power| [1, 2, 5].map(|it| it * 10u64.pow(power)));
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
