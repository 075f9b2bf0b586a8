//! What lies in `deploy/`: each file held against the program that reads it, and against Laurel.

mod servers;
mod stores;
