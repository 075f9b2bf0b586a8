//! Commands of players and admins: one function for each script.

pub(in crate::store) mod action_waits;
pub(in crate::store) mod admin;
pub(in crate::store) mod attempt;
pub(in crate::store) mod issue;
pub(in crate::store) mod judging;
pub(in crate::store) mod lease;
pub(in crate::store) mod prove;
pub(in crate::store) mod redeem;
pub(in crate::store) mod redeem_reply;
pub(in crate::store) mod script_refusal;
pub(in crate::store) mod session;
