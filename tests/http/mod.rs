//! The doors, over real HTTP.

mod action_tokens;
mod actions;
mod address;
pub mod admin;
mod analytics;
mod asyncapi;
mod auth;
mod bad_input;
mod callbacks;
mod connections;
mod edge;
mod game;
mod guesses;
mod idempotency;
mod limits;
mod openapi;
mod operations;
mod outside;
mod pages;
pub mod proofs;
mod receipts;
mod references;
mod rules;
mod scoreboard;
mod scores;
mod suspects;
mod webhook;
