//! Postgres connections: the pool, the settings of a session, error mapping and timing. It holds no SQL of a table; the modules that own
//! tables do.

mod connection;
mod fault;
mod pool;

pub use fault::{ANSWER_TIMEOUT, sql_fault, timed, with_timeout};
pub use pool::{begin, connect, log_server};
pub use sqlx::PgPool as Database;
