//! The distribution of scores on the board.

use crate::admin::Admin;
use crate::error::Result;
use crate::store::{BoardShape, Bucket};

/// Most bins up to the 99th percentile. More bars are hard to tell apart in a chart.
const BINS: u64 = 20;

/// The distribution of scores.
#[derive(Clone, Debug)]
pub struct Scores {
    /// Key figures of the board at the time of the query.
    pub shape: BoardShape,
    /// Bins of equal width, from 0. If few scores are far above the others, the last bin is open-ended and contains them.
    pub buckets: Vec<Bucket>,
}

/// Counts the board's users by score. Reads the sorted set in Redis, so it is current and as fast for a million users as for ten.
///
/// # Errors
/// Redis is unavailable.
pub async fn scores(admin: &Admin) -> Result<Scores> {
    let shape = admin.store.board_shape().await?;
    if shape.users == 0 {
        return Ok(Scores { shape, buckets: Vec::new() });
    }
    let mut buckets = admin.store.buckets(&edges(shape.p99, shape.max)).await?;
    // The last edge is above all scores, unless some are far above the others or have just risen.
    if buckets.last().is_some_and(|it| it.users == 0) {
        buckets.pop();
    }
    Ok(Scores { shape, buckets })
}

/// The lower edges of the bins, and the end of the last one. The width is 1, 2 or 5 times a power of ten, chosen so that the 99th
/// percentile falls in the first `BINS` bins. Bins continue up to the highest score if that needs at most half as many again.
fn edges(p99: u64, max: u64) -> Vec<u64> {
    let mut widths = (0..16).flat_map(|power| [1, 2, 5].map(|factor| factor * 10u64.pow(power)));
    let width = widths.find(|width| p99 / width < BINS).unwrap_or(u64::MAX);
    let last = if max / width < BINS + BINS / 2 { max / width } else { p99 / width };
    (0..=last + 1).map(|bin| bin * width).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bins_fit_the_scores() {
        let cases = [
            ((0, 0), vec![0, 1]),
            ((4, 4), vec![0, 1, 2, 3, 4, 5]),
            (
                (35, 41),
                vec![0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30, 32, 34, 36, 38, 40, 42],
            ),
            ((99, 1 << 52), (0..=20).map(|bin| bin * 5).collect()),
            ((990, 1000), (0..=21).map(|bin| bin * 50).collect()),
        ];
        for ((p99, max), wanted) in cases {
            assert_eq!(edges(p99, max), wanted, "{p99} {max}");
        }
    }

    proptest! {
        #[test]
        fn bins_have_equal_widths_and_cover_most_scores(p99 in 0..1u64 << 53, above in 0..1u64 << 53) {
            for max in [p99, p99 + above % (p99 / 4 + 1), (p99 + above).min((1 << 53) - 1)] {
                let edges = edges(p99, max);
                let width = edges[1];
                prop_assert!(edges[0] == 0 && edges.windows(2).all(|pair| pair[1] - pair[0] == width));
                let last = *edges.last().unwrap();
                prop_assert!(p99 < last && edges.len() as u64 <= BINS + BINS / 2 + 1);
                prop_assert!(max < last || max >= width * (BINS + BINS / 2));
                // No wider than needed.
                prop_assert!(width == 1 || p99 / width >= BINS * 2 / 5);
            }
        }
    }
}
