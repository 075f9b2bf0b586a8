//! The fault suite's players, record and checks.

#![allow(dead_code, reason = "the suite uses all of it")]

#[path = "../../examples/faults/audit.rs"]
pub mod audit;
#[path = "../../examples/faults/flows.rs"]
pub mod flows;
#[path = "../../examples/faults/history.rs"]
pub mod history;
#[path = "../../examples/faults/load.rs"]
pub mod load;
#[path = "../../examples/faults/queries.rs"]
pub mod queries;
#[path = "../../examples/faults/random.rs"]
pub mod random;
