//! The clients of webhooks and of AdMob's keys, against small HTTP servers.

pub mod admob;
pub mod webhook;
