//! The fault suite's players, record and checks.

#![allow(dead_code, reason = "the suite uses all of it")]

#[path = "../../examples/faults/dice.rs"]
pub mod dice;
#[path = "../../examples/faults/flows.rs"]
pub mod flows;
#[path = "../../examples/faults/history.rs"]
pub mod history;
#[path = "../../examples/faults/judge.rs"]
pub mod judge;
#[path = "../../examples/faults/ledger.rs"]
pub mod ledger;
#[path = "../../examples/faults/load.rs"]
pub mod load;
