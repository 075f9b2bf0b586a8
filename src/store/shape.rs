//! How the board's scores are distributed. Not for the award path.

use super::{Store, fault, keys};
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
    /// A bucket from each edge to the next.
    pub buckets: Vec<Bucket>,
}

impl Store {
    /// Counts the board's users between edges, which ascend. Every count takes the logarithm of the board's size.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn board_shape(&self, edges: &[u64]) -> Result<BoardShape, Fault> {
        let mut size = redis::cmd("ZCARD");
        size.arg(keys::BOARD);
        let users: u64 = self.ask("look at the board's size", &size).await?;
        let mut pipeline = redis::pipe();
        pipeline.atomic();
        let upper = |place: usize| edges.get(place + 1).copied();
        for (place, from) in edges.iter().enumerate() {
            let to = upper(place).map_or("+inf".to_owned(), |it| format!("({it}"));
            pipeline.zcount(keys::BOARD, *from, to);
        }
        // The least score that so many of a hundred do not pass.
        for part in [50, 90, 99, 100] {
            let place = (users * part).div_ceil(100).saturating_sub(1) as isize;
            pipeline.zrange_withscores(keys::BOARD, place, place);
        }
        let (counts, marks): (Vec<u64>, Vec<Vec<(String, f64)>>) = {
            let replies: Vec<redis::Value> = pipeline
                .query_async(&mut self.command())
                .await
                .map_err(|error| fault("look at the board's scores", error))?;
            let mut replies = replies.into_iter();
            let counts =
                replies.by_ref().take(edges.len()).map(redis::from_redis_value).collect::<Result<_, _>>();
            let marks = replies.map(redis::from_redis_value).collect::<Result<_, _>>();
            let wrong = |error| Fault::new("read the board's scores", error);
            (counts.map_err(wrong)?, marks.map_err(wrong)?)
        };
        let mark = |place: usize| marks.get(place).and_then(|it| it.first()).map_or(0, |it| it.1 as u64);
        let bucket =
            |(place, users): (usize, &u64)| Bucket { from: edges[place], to: upper(place), users: *users };
        Ok(BoardShape {
            users: counts.iter().sum(),
            p50: mark(0),
            p90: mark(1),
            p99: mark(2),
            max: mark(3),
            buckets: counts.iter().enumerate().map(bucket).collect(),
        })
    }
}
