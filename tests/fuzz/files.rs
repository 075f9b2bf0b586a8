//! Operators' files. An invalid file is refused with at least one problem; no file causes a panic.

use std::collections::HashSet;

use laurel::account::Issuers;
use laurel::action::Catalogue;
use laurel::board::Boards;
use proptest::prelude::*;

use super::change::{apply, changes};
use super::fuzz;
use crate::harness::{Signer, jwks};

const SHIPPED: &str = include_str!("../../src/action/actions.toml");

fn check_catalogue(text: &str) -> Result<(), TestCaseError> {
    match Catalogue::parse(text, std::path::Path::new("")) {
        Ok(catalogue) => {
            let types: HashSet<_> = catalogue.all().iter().map(|action| &action.kind).collect();
            prop_assert_eq!(types.len(), catalogue.all().len());
            prop_assert!(catalogue.all().iter().all(|action| action.points < 1 << 53));
        }
        Err(problems) => prop_assert!(!problems.0.is_empty()),
    }
    Ok(())
}

/// Random TOML with the keys and values of catalogues.
fn entries() -> impl Strategy<Value = String> {
    let key = prop::sample::select(vec![
        "type",
        "number",
        "points",
        "proof",
        "flows",
        "cooldown_ms",
        "cap_per_hour",
        "cap_per_day",
        "open_hours",
        "points_by_difficulty",
        "token_seconds",
        "min_ms",
    ]);
    let value = prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>().prop_map(|number| format!("{number:?}")),
        "[a-z0-9_:\\-]{0,12}".prop_map(|text| format!("\"{text}\"")),
        "([0-9]{1,2}:[0-9]{1,2}-[0-9]{1,2}:[0-9]{1,2})".prop_map(|hours| format!("\"{hours}\"")),
        prop::sample::select(vec![
            "{ kind = \"none\" }",
            "{ kind = \"quiz\", bank = \"b\" }",
            "{ kind = \"all\", of = [] }",
            "{ kind = \"elapsed\", min_ms = 9223372036854775807 }",
            "{ kind = \"hashcash\", bits = 4294967295 }",
            "[\"game\"]",
            "[]",
            "{ easy = 0 }",
            "{ hard = 9223372036854775807 }",
        ])
        .prop_map(str::to_owned),
    ];
    let entry = prop::collection::vec((key, value), 0..7).prop_map(|fields| {
        let lines: Vec<_> = fields.into_iter().map(|(key, value)| format!("{key} = {value}\n")).collect();
        let valid = "type = \"a\"\nnumber = 1\npoints = 1\nproof = { kind = \"none\" }\n";
        // Missing fields get valid values, so that the others are checked.
        let missing = valid
            .lines()
            .filter(|field| !lines.iter().any(|line| line.split(' ').next() == field.split(' ').next()));
        format!("[[action]]\n{}{}\n", lines.concat(), missing.collect::<Vec<_>>().join("\n"))
    });
    prop::collection::vec(entry, 1..3).prop_map(|entries| entries.concat())
}

#[test]
fn a_catalogue_is_valid_or_has_problems() {
    fuzz(2.0, changes(), |changes| {
        let bytes = apply(SHIPPED.as_bytes(), SHIPPED.as_bytes(), &changes);
        check_catalogue(&String::from_utf8_lossy(&bytes))
    });
    fuzz(4.0, entries(), |text| check_catalogue(&text));
    fuzz(4.0, ".{0,300}", |text| check_catalogue(&text));
}

fn check_boards(text: &str) -> Result<(), TestCaseError> {
    match Boards::parse(text, &["race"]) {
        Ok(boards) => {
            let boards = boards.all();
            let ids: HashSet<_> = boards.iter().map(|board| &board.id).collect();
            prop_assert_eq!(ids.len(), boards.len());
            prop_assert_eq!(&boards[0].id, "global");
            for board in boards.iter() {
                let now = jiff::Timestamp::from_second(1_795_250_000).unwrap();
                prop_assert!(board.schedule.containing(now).is_none_or(|period| period.contains(now)));
            }
        }
        Err(problems) => prop_assert!(!problems.0.is_empty()),
    }
    Ok(())
}

/// Random boards of valid and invalid values.
fn boards() -> impl Strategy<Value = String> {
    let periods = prop::sample::select(vec!["day", "week", "month", "year", "none", "weeks"])
        .prop_map(|period| format!("period = \"{period}\"\n"));
    let custom = "[0-9]{1,20}[smhd]?".prop_map(|span| {
        format!("period = {{ every = \"{span}\", from = \"2026-12-01T09:00:00\" }}\nsettle = \"{span}\"\n")
    });
    let resets = "((Mon|Sun|[0-9]{1,2}|[0-9]{2}-[0-9]{2}) )?[0-9]{2}:[0-9]{2}"
        .prop_map(|reset| format!("resets_at = \"{reset}\"\n"));
    let zones =
        prop::sample::select(vec!["Europe/Berlin", "Australia/Lord_Howe", "Pacific/Apia", "UTC", "X"])
            .prop_map(|zone| format!("time_zone = \"{zone}\"\n"));
    let board = (prop_oneof![2 => periods, 1 => custom], prop::option::of(resets), prop::option::of(zones))
        .prop_map(|(period, reset, zone)| period + &reset.unwrap_or_default() + &zone.unwrap_or_default());
    prop::collection::vec(board, 1..4).prop_map(|boards| {
        let board = |(place, keys)| format!("[[board]]\nid = \"b{place}\"\n{keys}");
        boards.into_iter().enumerate().map(board).collect()
    })
}

#[test]
fn files_of_boards() {
    let shipped = include_str!("../../src/board/boards.toml");
    fuzz(1.0, changes(), |changes| {
        check_boards(&String::from_utf8_lossy(&apply(shipped.as_bytes(), SHIPPED.as_bytes(), &changes)))
    });
    fuzz(2.0, boards(), |text| check_boards(&text));
    fuzz(1.0, ".{0,300}", |text| check_boards(&text));
}

#[test]
fn an_issuers_file_is_valid_or_has_problems() {
    let folder = tempfile::tempdir().unwrap();
    let signer = Signer::new(jsonwebtoken::Algorithm::EdDSA, "a");
    let keys = jwks(&[&signer]);
    let file =
        "[[issuer]]\nissuer = \"https://id.example\"\naudience = \"laurel\"\njwks_file = \"keys.json\"\n";
    let path = |name: &str| folder.path().join(name);
    let load = |toml: &[u8], keys: &[u8]| {
        std::fs::write(path("issuers.toml"), toml).unwrap();
        std::fs::write(path("keys.json"), keys).unwrap();
        Issuers::load(path("issuers.toml").to_str().unwrap())
    };
    assert!(load(file.as_bytes(), keys.as_bytes()).is_ok());
    let check = |toml: &[u8], keys: &[u8]| {
        match load(toml, keys) {
            Ok(issuers) => prop_assert!(issuers.rings().count() > 0),
            Err(problems) => prop_assert!(!problems.0.is_empty()),
        }
        Ok(())
    };
    fuzz(2.0, changes(), |changes| {
        check(&apply(file.as_bytes(), keys.as_bytes(), &changes), keys.as_bytes())
    });
    fuzz(2.0, changes(), |changes| {
        check(file.as_bytes(), &apply(keys.as_bytes(), file.as_bytes(), &changes))
    });
    fuzz(2.0, prop::collection::vec(any::<u8>(), 0..300), |bytes| check(&bytes, &bytes));
}
