//! The doors, over real HTTP.

mod action_tokens;
mod actions;
mod address;
mod admin;
mod analytics;
mod auth;
mod bad_input;
mod callbacks;
mod connections;
mod edge;
mod game;
mod idempotency;
mod limits;
mod openapi;
mod operations;
mod outside;
pub mod proofs;
mod receipts;
mod rules;
mod scoreboard;
mod scores;
mod suspects;
mod webhook;
