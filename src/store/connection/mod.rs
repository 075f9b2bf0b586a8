//! Connections to Redis: addresses, servers and which shards they serve, reconnects, errors, pub/sub, replication, and the reader of the
//! outbox streams.

mod address;
pub(super) mod binding;
mod cluster_slots;
mod connect;
mod managed_connection;
mod outbox_reader;
pub(super) mod redis_error;
mod replicas;
pub(super) mod server;
pub(super) mod stream;
mod subscription;
pub(super) mod topology;

pub use outbox_reader::OutboxReader;
pub use subscription::Subscription;
