//! One test binary: real Redis, real Postgres, real sockets. The folders mirror `src/` and `lua/`; `harness/` starts what
//! a test needs and waits for conditions, never for time to pass.

#![allow(missing_docs, clippy::unwrap_used)]

mod harness;

mod action;
mod admin_cli;
mod balancer;
mod browser;
mod cli;
mod client;
mod cluster;
mod dashboards;
mod deploy;
mod documents;
mod embedded;
mod failover;
mod faults;
mod fuzz;
mod http;
mod layers;
mod ledger;
mod live;
mod loadtest;
mod metrics;
mod model;
mod official;
mod outages;
mod quickstart;
mod races;
mod rate_limit;
mod scripts;
mod start_up;
mod tidy;
mod traces;
