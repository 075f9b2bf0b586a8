//! The boards that a subscriber watches by name: what was sent of each, and what is pending.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use prometheus::IntCounter;

use super::encoding::Encoding;
use crate::live::boards::{BoardWatch, OwnEntry, WatchedBoard};

/// One board that a subscriber watches. Its newest state is shared; the newest own entry is kept here.
pub struct Watch {
    watch: BoardWatch,
    /// Where the subscriber stands in its worker's list of the board's watchers.
    pub place: usize,
    /// Number of the last state that was sent; 0: none.
    sent_number: u32,
    own_entry: Option<Arc<OwnEntry>>,
}

impl Watch {
    /// A watch of which nothing was sent yet.
    pub fn new(watch: BoardWatch, place: usize) -> Self {
        Self { watch, place, sent_number: 0, own_entry: None }
    }

    /// The board.
    pub fn board(&self) -> &Arc<WatchedBoard> {
        self.watch.board()
    }

    /// Takes the newest own entry.
    pub fn notify(&mut self, own_entry: Arc<OwnEntry>) {
        self.own_entry = Some(own_entry);
    }

    /// The next event that is due, if the client may still see the board. States that the client missed count as skipped.
    pub fn next(&mut self, encoding: Encoding, skipped: &IntCounter) -> Option<Bytes> {
        let board = self.watch.board();
        if !board.was_read_after(self.watch.after_read) || !self.watch.is_allowed() {
            return None;
        }
        if let Some(newest) = board.newest().filter(|newest| newest.number != self.sent_number) {
            if self.sent_number > 0 {
                skipped.inc_by(newest.number.wrapping_sub(self.sent_number).saturating_sub(1).into());
            }
            self.sent_number = newest.number;
            return Some(newest.event(&board.address, encoding));
        }
        Some(encoding.board_personal(&board.address, &*self.own_entry.take()?))
    }
}

/// The watchers of each board on one worker, and the boards of which they must get the newest state.
#[derive(Default)]
pub struct Watchers {
    /// Slots of subscribers, by the board's id.
    slots: HashMap<u64, Vec<usize>>,
    sweeps: VecDeque<BoardSweep>,
}

/// A sweep over the watchers of one board, from the last to the first: those that leave meanwhile are replaced by swept ones.
struct BoardSweep {
    board: u64,
    /// Watchers that are left; `None`: the sweep has not begun.
    left: Option<usize>,
}

impl Watchers {
    /// Adds a watcher of a board, and returns its place.
    pub fn add(&mut self, board: &WatchedBoard, slot: usize) -> usize {
        let slots = self.slots.entry(board.id).or_default();
        slots.push(slot);
        slots.len() - 1
    }

    /// Removes the watcher at a place. Returns the slot of the watcher that has the place now.
    pub fn remove(&mut self, board: &WatchedBoard, place: usize) -> Option<usize> {
        let slots = self.slots.get_mut(&board.id)?;
        slots.swap_remove(place);
        let moved = slots.get(place).copied();
        if slots.is_empty() {
            self.slots.remove(&board.id);
        }
        moved
    }

    /// Plans a sweep over the watchers of a board.
    pub fn sweep(&mut self, board: &WatchedBoard) {
        let is_planned = self.sweeps.iter().any(|sweep| sweep.board == board.id && sweep.left.is_none());
        if !is_planned && self.slots.contains_key(&board.id) {
            self.sweeps.push_back(BoardSweep { board: board.id, left: None });
        }
    }

    /// Whether a sweep is planned or in progress.
    pub fn are_swept(&self) -> bool {
        !self.sweeps.is_empty()
    }

    /// The next watchers of the oldest sweep.
    pub fn next_slice(&mut self, max: usize) -> Vec<usize> {
        let Some(sweep) = self.sweeps.front_mut() else { return Vec::new() };
        let slots = self.slots.get(&sweep.board).map_or(&[][..], Vec::as_slice);
        let to = sweep.left.unwrap_or(slots.len()).min(slots.len());
        let from = to.saturating_sub(max);
        sweep.left = Some(from);
        if from == 0 {
            self.sweeps.pop_front();
        }
        slots[from..to].to_vec()
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;
    use crate::board::{Boards, Viewer};
    use crate::live::boards::WatchedBoards;

    #[test]
    fn a_sweep_reaches_every_watcher_that_stays() {
        let (changes, _changed) = mpsc::unbounded_channel();
        let boards = WatchedBoards::new(1, Arc::default(), changes);
        let weekly = Boards::load("", &[]).unwrap().find("weekly").unwrap();
        let watch = boards.watch("weekly", &weekly, None, Viewer::Player).unwrap();
        let board = watch.board();
        let mut watchers = Watchers::default();
        watchers.sweep(board);
        assert!(!watchers.are_swept(), "nobody watches it here");
        for slot in 0..5 {
            assert_eq!(watchers.add(board, slot), slot);
        }
        watchers.sweep(board);
        watchers.sweep(board);
        assert_eq!(watchers.next_slice(2), [3, 4]);
        watchers.sweep(board);
        assert_eq!(watchers.remove(board, 0), Some(4), "the last one takes the place");
        assert_eq!(watchers.next_slice(2), [1, 2]);
        assert_eq!(watchers.next_slice(2), [4], "it gets nothing twice");
        assert_eq!(watchers.next_slice(9), [4, 1, 2, 3], "the board changed during the first sweep");
        assert!(!watchers.are_swept());
        for place in [3, 2, 1, 0] {
            assert_eq!(watchers.remove(board, place), None);
        }
        watchers.sweep(board);
        assert!(!watchers.are_swept());
    }
}
