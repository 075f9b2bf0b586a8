//! Expand and contract migrations while nodes of several versions run.

use std::str::FromStr;

use laurel::ledger::Migrations;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, Executor, PgConnection};

use crate::harness::{TestStores, eventually};

const EXPAND: [(&str, &str); 2] = [
    ("0001_first", "CREATE TABLE actions (points INT NOT NULL)"),
    ("0002_second", "ALTER TABLE actions ADD COLUMN note TEXT"),
];
/// A node that supports only the first step cannot write rows after this.
const CONTRACT: [(&str, &str); 1] = [(
    "contract/0003_third",
    "UPDATE actions SET note = 'old' WHERE note IS NULL; ALTER TABLE actions ALTER COLUMN note SET NOT NULL",
)];

fn options(stores: &TestStores, application_name: &str) -> PgConnectOptions {
    let options = PgConnectOptions::from_str(stores.config.postgres.url.expose()).unwrap();
    options.application_name(application_name)
}

async fn connect(stores: &TestStores, application_name: &str) -> PgConnection {
    options(stores, application_name).connect().await.unwrap()
}

#[tokio::test]
async fn contract_migrations_wait_for_older_nodes() {
    let stores = TestStores::without_tables().await;
    let database = PgPoolOptions::new().connect_with(options(&stores, "laurel/3")).await.unwrap();
    let old_version = Migrations::new(&EXPAND[..1], &[]);
    let new_version = Migrations::new(&EXPAND, &CONTRACT);
    old_version.expand(&database).await.unwrap();
    assert!(old_version.contract(&database).await.unwrap(), "there are no contract steps");

    // After the expand step both versions write.
    let mut older = connect(&stores, "laurel/1").await;
    let mut newer = connect(&stores, "laurel/3").await;
    let write_old = async |node: &mut PgConnection| {
        sqlx::query("INSERT INTO actions (points) VALUES (1)").execute(node).await
    };
    let write_new = async |node: &mut PgConnection| {
        sqlx::query("INSERT INTO actions (points, note) VALUES (1, 'new')").execute(node).await.unwrap();
    };
    write_old(&mut older).await.unwrap();
    new_version.expand(&database).await.unwrap();
    write_old(&mut older).await.unwrap();
    write_new(&mut newer).await;
    assert!(!new_version.contract(&database).await.unwrap(), "a node is older by two steps");
    // The old version can still be started.
    old_version.expand(&database).await.unwrap();
    write_old(&mut older).await.unwrap();
    older.close().await.unwrap();

    let other = connect(&stores, "laurel/2").await;
    assert!(!new_version.contract(&database).await.unwrap(), "a node is older by one step");
    other.close().await.unwrap();
    let _newest = connect(&stores, "laurel/999").await;
    let mut admin = connect(&stores, "psql").await;
    eventually("the contract step to run", async || {
        new_version.contract(&database).await.unwrap().then_some(())
    })
    .await;
    assert!(write_old(&mut admin).await.is_err(), "the contract step ran");
    // The same connection continues with the statement that it prepared before.
    write_new(&mut newer).await;
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM actions").fetch_one(&database).await.unwrap();
    assert_eq!(rows, 5);
    assert!(new_version.contract(&database).await.unwrap(), "the contract step runs once");
}

#[tokio::test]
async fn a_changed_migration_is_refused() {
    let stores = TestStores::without_tables().await;
    let database = PgPoolOptions::new().connect_with(options(&stores, "laurel/1")).await.unwrap();
    Migrations::new(&EXPAND[..1], &[]).expand(&database).await.unwrap();
    let changed = Migrations::new(&[("0001_first", "CREATE TABLE actions (points BIGINT NOT NULL)")], &[]);
    assert!(changed.expand(&database).await.is_err());
    database.execute("SELECT points FROM actions").await.unwrap();
}

#[tokio::test]
async fn the_search_index_needs_the_extension() {
    let cases = [
        ("no_right_to_create", "", false),
        ("right_to_create", "GRANT CREATE ON DATABASE {} TO {role};", true),
        ("created", "CREATE EXTENSION pg_trgm;", true),
        (
            "created_in_another_schema",
            "CREATE SCHEMA other; CREATE EXTENSION pg_trgm SCHEMA other; GRANT USAGE ON SCHEMA other TO {role};",
            true,
        ),
        (
            "created_in_a_schema_without_rights",
            "CREATE SCHEMA other; CREATE EXTENSION pg_trgm SCHEMA other;",
            false,
        ),
    ];
    for (role, setup, has_index) in cases {
        let stores = TestStores::without_tables().await;
        let url = stores.config.postgres.url.expose().to_owned();
        let database = PgPoolOptions::new().max_connections(1).connect(&url).await.unwrap();
        let name: String =
            sqlx::query_scalar("SELECT current_database()::text").fetch_one(&database).await.unwrap();
        let setup = setup.replace("{}", &name).replace("{role}", role);
        let create_role =
            format!("CREATE ROLE {role}; GRANT CREATE ON SCHEMA public TO {role}; {setup} SET ROLE {role}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(create_role)).execute(&database).await.unwrap();
        laurel::ledger::migrate(&database).await.unwrap();
        let indexed: bool = sqlx::query_scalar("SELECT to_regclass('users_username_trigrams') IS NOT NULL")
            .fetch_one(&database)
            .await
            .unwrap();
        assert_eq!(indexed, has_index, "{role}");
        database.close().await;

        let node = stores.start_node().await;
        node.register("ada_lovelace").await;
        let found = laurel::admin::search(&node.app.admin, Some("LOVE"), None, 5).await.unwrap();
        assert_eq!((found.total, found.users[0].username.as_str()), (1, "ada_lovelace"), "{role}");
    }
}
