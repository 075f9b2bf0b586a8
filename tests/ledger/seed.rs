//! `laurel seed` creates users with unique names.

use std::collections::HashSet;

use laurel::ledger::SeedOptions;

use crate::harness::{TestNode, TestStores, assert_ledger_matches};

async fn seed(node: &TestNode, users: u64) {
    let options = SeedOptions { users, max_score: 1000, tokens: None };
    laurel::ledger::seed(&node.app.ledger, &node.app.accounts.logins, &options, |_| ()).await.unwrap();
}

async fn names(node: &TestNode) -> Vec<String> {
    let query = sqlx::query_scalar("SELECT username FROM users ORDER BY number");
    query.fetch_all(&node.app.database).await.unwrap()
}

#[tokio::test]
async fn seeded_users_have_unique_names() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    seed(&node, 12).await;
    let series = names(&node).await;

    let other = TestStores::new().await;
    let (one, two) = (other.start_node().await, other.start_node().await);
    // Players have some of the names, in another case.
    for taken in [&series[3], &series[5].to_uppercase(), &series[6].to_lowercase()] {
        one.register(taken).await;
    }
    seed(&one, 5).await;
    seed(&one, 0).await;
    tokio::join!(seed(&one, 1500), seed(&two, 1500));
    let names = names(&one).await;
    assert_eq!(names.len(), 3008);
    // There are three users, so the series starts at the fourth name.
    assert_eq!(names[3..8], [4, 7, 8, 9, 10].map(|index| series[index].clone()));
    let distinct: HashSet<String> = names.iter().map(|it| it.to_lowercase()).collect();
    assert_eq!(distinct.len(), names.len());
    assert_ledger_matches(&other).await;
}
