use std::time::Duration;

use laurel::db::begin;
use sqlx::Row;
use sqlx::postgres::PgPoolOptions;

use crate::harness::TestStores;

#[tokio::test]
async fn a_cancelled_begin_leaves_no_transaction_in_the_pool() {
    let stores = TestStores::new().await;
    let pool =
        PgPoolOptions::new().max_connections(1).connect(stores.config.postgres.url.expose()).await.unwrap();
    for microseconds in 0..200 {
        let asked = begin(&pool, "BEGIN");
        drop(tokio::time::timeout(Duration::from_micros(microseconds), asked).await);
        // In an open transaction, now() is its start.
        let row = sqlx::raw_sql("SELECT now() = statement_timestamp()").fetch_one(&pool).await.unwrap();
        let own: bool = row.get(0);
        assert!(own, "after {microseconds} µs a transaction was left open");
    }
}
