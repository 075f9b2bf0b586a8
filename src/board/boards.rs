//! All boards of a deployment.

use std::sync::Arc;

use arc_swap::ArcSwap;
use serde_json::{Map, Value};

use super::definition::{Definition, Rules, Viewer, Visibility, is_tag_value};
use super::parse::{read_boards, read_keys};
use super::{Schedule, Span};
use crate::config::{fields, list};
use crate::error::{FieldError, Refusal};

/// The built-in boards.
const BUILT_IN: &str = include_str!("boards.toml");

/// The board that always exists: the sum of all points, without periods.
pub const GLOBAL: &str = "global";

/// All problems of the boards' file, each with its line.
#[derive(Debug, thiserror::Error)]
#[error("{}", list("the boards", .0))]
pub struct BoardProblems(pub Vec<String>);

/// All boards: `global`, those of the file in its order, then those that admins created, oldest first.
#[derive(Debug)]
pub struct Boards {
    all: ArcSwap<Vec<Arc<Definition>>>,
    /// Those of the catalogue.
    action_types: Vec<String>,
}

impl Boards {
    /// Reads a file of boards, or the built-in boards if the name is empty. `action_types` are those of the catalogue.
    ///
    /// # Errors
    /// All problems of the file.
    pub fn load(file: &str, action_types: &[&str]) -> Result<Self, BoardProblems> {
        let parse = |text: &str| Self::parse(text, action_types).map_err(|BoardProblems(problems)| problems);
        fields::load(file, BUILT_IN, parse).map_err(BoardProblems)
    }

    /// Parses a file of boards.
    ///
    /// # Errors
    /// All problems of the text.
    pub fn parse(text: &str, action_types: &[&str]) -> Result<Self, BoardProblems> {
        let defined = fields::parse(text, |file| read_boards(file, action_types)).map_err(BoardProblems)?;
        let all: Vec<_> = [global()].into_iter().chain(defined).map(Arc::new).collect();
        let action_types = action_types.iter().map(|kind| (*kind).to_owned()).collect();
        Ok(Self { all: ArcSwap::from_pointee(all), action_types })
    }

    /// Reads the keys of a new board, with the checks of the file.
    ///
    /// # Errors
    /// All problems, by key.
    pub fn read_new(&self, keys: &Map<String, Value>) -> Result<Definition, Vec<FieldError>> {
        let action_types: Vec<&str> = self.action_types.iter().map(String::as_str).collect();
        read_keys(keys, Some(&action_types))
    }

    /// Adds a board that an admin created, or replaces its definition.
    pub fn put(&self, definition: Definition) {
        let definition = Arc::new(definition);
        self.all.rcu(|all| {
            let mut all = Vec::clone(all);
            match all.iter_mut().find(|board| board.id == definition.id) {
                Some(board) => *board = definition.clone(),
                None => all.push(definition.clone()),
            }
            all
        });
    }

    /// All boards.
    pub fn all(&self) -> Arc<Vec<Arc<Definition>>> {
        self.all.load_full()
    }

    /// The boards that a caller may see.
    pub fn visible_to(&self, viewer: Viewer) -> Vec<Arc<Definition>> {
        let all = self.all.load();
        all.iter().filter(|board| board.visibility.is_open_to(viewer)).cloned().collect()
    }

    /// The visibility of the board that the fewest callers may see.
    pub fn strictest(&self) -> Visibility {
        self.all.load().iter().map(|board| board.visibility).max().unwrap_or_default()
    }

    /// Finds a board by its address: an id, or `id@value` for one value of the tag that the board is split by.
    ///
    /// # Errors
    /// There is no such board.
    pub fn find(&self, address: &str) -> Result<Arc<Definition>, Refusal> {
        let (id, value) = match address.split_once('@') {
            Some((id, value)) => (id, Some(value)),
            None => (address, None),
        };
        let all = self.all.load();
        let found = all.iter().find(|board| board.id == id).filter(|board| match value {
            Some(value) => board.rules.split_by.is_some() && is_tag_value(value),
            None => true,
        });
        found.cloned().ok_or(Refusal::BoardNotFound)
    }
}

/// The definition of `global`.
fn global() -> Definition {
    Definition {
        id: GLOBAL.to_owned(),
        title: "All time".to_owned(),
        rules: Rules { is_total: true, ..Rules::default() },
        schedule: Schedule::none(),
        settle: Span::Seconds(0),
        keep_periods: 0,
        decimals: 0,
        backfill: true,
        visibility: Visibility::Public,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::board::ActionFilter;

    /// Parses boards over the actions `race` and `quiz`.
    pub fn parse(text: &str) -> Result<Boards, Vec<String>> {
        Boards::parse(text, &["race", "quiz"]).map_err(|BoardProblems(problems)| problems)
    }

    fn ids(boards: &Boards, viewer: Viewer) -> Vec<String> {
        boards.visible_to(viewer).iter().map(|board| board.id.clone()).collect()
    }

    #[test]
    fn the_built_in_boards_follow_global() {
        let boards = Boards::load("", &[]).unwrap();
        assert_eq!(ids(&boards, Viewer::Anonymous), ["global", "daily", "weekly", "monthly"]);
        assert!(boards.all().iter().all(|board| board.rules.actions == ActionFilter::All));
        assert_eq!(ids(&parse("").unwrap(), Viewer::Anonymous), ["global"]);
    }

    #[test]
    fn hidden_boards_are_left_out() {
        let boards = parse(
            "[[board]]\nid = \"a\"\nvisibility = \"admins\"\n[[board]]\nid = \"p\"\nvisibility = \"players\"\n",
        )
        .unwrap();
        assert_eq!(boards.strictest(), Visibility::Admins);
        assert_eq!(parse("").unwrap().strictest(), Visibility::Public);
        for (viewer, visible) in [
            (Viewer::Anonymous, vec!["global"]),
            (Viewer::Player, vec!["global", "p"]),
            (Viewer::Admin, vec!["global", "a", "p"]),
        ] {
            assert_eq!(ids(&boards, viewer), visible);
            for board in boards.all().iter() {
                let is_visible = visible.contains(&board.id.as_str());
                assert_eq!(board.visibility.is_open_to(viewer), is_visible, "{viewer:?} {}", board.id);
            }
        }
    }

    #[test]
    fn only_split_boards_have_an_address_per_value() {
        let boards = parse("[[board]]\nid = \"w\"\nsplit_by = \"country\"\n").unwrap();
        for (address, is_found) in [
            ("w", true),
            ("w@DE", true),
            ("w@de-by_1.2", true),
            ("w@", false),
            ("w@D E", false),
            ("w@DE@DE", false),
            ("w@Ä", false),
            ("global", true),
            ("global@DE", false),
            ("@DE", false),
            ("", false),
            ("W", false),
        ] {
            assert_eq!(boards.find(address).is_ok(), is_found, "{address}");
        }
        let long = "w@".to_owned() + &"a".repeat(41);
        assert!(boards.find(&long).is_err());
    }
}
