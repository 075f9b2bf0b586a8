//! The files in `deploy/`, checked with the programs that read them and against Laurel.

mod balancer;
mod compose;
mod encrypted;
mod image;
mod kubernetes;
mod servers;
mod stores;
pub mod tools;
