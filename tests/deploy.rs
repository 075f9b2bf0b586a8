//! What lies in `deploy/`: each file held against the program that reads it, and against Laurel.

mod balancer;
mod compose;
mod encrypted;
mod image;
mod kubernetes;
mod servers;
mod stores;
pub mod tools;
