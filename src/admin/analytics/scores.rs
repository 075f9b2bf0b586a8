//! How scores are distributed, as the board shows them.

use crate::app::App;
use crate::error::Result;
use crate::store::{BoardShape, Bucket};

/// The distribution of the board's scores.
#[derive(Clone, Debug)]
pub struct Scores {
    /// The board at one moment.
    pub shape: BoardShape,
    /// From the first class with anybody in it to the last one.
    pub buckets: Vec<Bucket>,
}

/// Counts the board's users by score, in classes of 1, 2, 5, 10, 20, …: they fit a game of tens and one of billions. Asks Redis,
/// whose set is in order: it takes as long for a million users as for ten, and is of this moment.
///
/// # Errors
/// Redis is away.
pub async fn scores(app: &App) -> Result<Scores> {
    let shape = app.store.board_shape(&edges()).await?;
    let mut buckets = shape.buckets.clone();
    while buckets.last().is_some_and(|it| it.users == 0) {
        buckets.pop();
    }
    let empty = buckets.iter().take_while(|it| it.users == 0).count();
    buckets.drain(..empty);
    Ok(Scores { shape, buckets })
}

/// 0, 1, 2, 5, 10, … beyond the greatest score there can be.
fn edges() -> Vec<u64> {
    let decades = (0..16).flat_map(|power| [1, 2, 5].map(|it| it * 10u64.pow(power)));
    std::iter::once(0).chain(decades).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_score_has_a_class() {
        let edges = edges();
        assert_eq!(edges[..7], [0, 1, 2, 5, 10, 20, 50]);
        assert!(
            edges.is_sorted() && *edges.last().unwrap() < 1 << 53 && 10 * edges.last().unwrap() > 1 << 53
        );
    }
}
