//! How scores are distributed, as the board shows them.

use crate::app::App;
use crate::error::Result;
use crate::store::{BoardShape, Bucket};

/// Classes up to the 99th percentile, at most: so many bars can be told apart.
const CLASSES: u64 = 20;

/// The distribution of the board's scores.
#[derive(Clone, Debug)]
pub struct Scores {
    /// The board at one moment.
    pub shape: BoardShape,
    /// Classes of one width, from 0 on. Where few scores are far above the others, the last one has no end and takes those.
    pub buckets: Vec<Bucket>,
}

/// Counts the board's users by score. Asks Redis, whose set is in order: it takes as long for a million users as for ten, and is of
/// this moment.
///
/// # Errors
/// Redis is away.
pub async fn scores(app: &App) -> Result<Scores> {
    let shape = app.store.board_shape().await?;
    if shape.users == 0 {
        return Ok(Scores { shape, buckets: Vec::new() });
    }
    let mut buckets = app.store.buckets(&edges(shape.p99, shape.max)).await?;
    // The last edge is above everybody, unless some are far above, or just came there.
    if buckets.last().is_some_and(|it| it.users == 0) {
        buckets.pop();
    }
    Ok(Scores { shape, buckets })
}

/// Where classes begin, and where the last one ends. They are equally wide, so that equal numbers look equal: by 1, 2 or 5 times a power
/// of ten, such that the 99th percentile is within the first `CLASSES`. They go on to the greatest score if it is no further than half
/// as far again; what is beyond would leave all others in one bar.
fn edges(p99: u64, max: u64) -> Vec<u64> {
    let mut widths = (0..16).flat_map(|power| [1, 2, 5].map(|it| it * 10u64.pow(power)));
    let width = widths.find(|width| p99 / width < CLASSES).unwrap_or(u64::MAX);
    let last = if max / width < CLASSES + CLASSES / 2 { max / width } else { p99 / width };
    (0..=last + 1).map(|it| it * width).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn classes_fit_the_scores() {
        let cases = [
            ((0, 0), vec![0, 1]),
            ((4, 4), vec![0, 1, 2, 3, 4, 5]),
            (
                (35, 41),
                vec![0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30, 32, 34, 36, 38, 40, 42],
            ),
            ((99, 1 << 52), (0..=20).map(|it| it * 5).collect()),
            ((990, 1000), (0..=21).map(|it| it * 50).collect()),
        ];
        for ((p99, max), wanted) in cases {
            assert_eq!(edges(p99, max), wanted, "{p99} {max}");
        }
    }

    proptest! {
        #[test]
        fn classes_are_equally_wide_and_few_and_have_all_but_some_far_above(p99 in 0..1u64 << 53, above in 0..1u64 << 53) {
            for max in [p99, p99 + above % (p99 / 4 + 1), (p99 + above).min((1 << 53) - 1)] {
                let edges = edges(p99, max);
                let width = edges[1];
                prop_assert!(edges[0] == 0 && edges.windows(2).all(|it| it[1] - it[0] == width));
                let last = *edges.last().unwrap();
                prop_assert!(p99 < last && edges.len() as u64 <= CLASSES + CLASSES / 2 + 1);
                prop_assert!(max < last || max >= width * (CLASSES + CLASSES / 2));
                // No wider than needed.
                prop_assert!(width == 1 || p99 / width >= CLASSES * 2 / 5);
            }
        }
    }
}
