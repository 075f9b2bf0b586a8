use crate::harness::TestStores;
use crate::scripts::{award, user};

#[tokio::test]
async fn only_acknowledged_entries_leave_the_outbox() {
    let stores = TestStores::new().await;
    let store = stores.open_store().await;
    award(&store, user(1), 10).await;
    let mut reader = store.outbox_reader().await.unwrap();
    let (entries, unread) = reader.read(10, 0).await.unwrap();
    assert_eq!((entries.len(), unread.len()), (2, 0));
    assert_eq!(entries[0].award, None);
    let (before, after, hlc_us) = entries[1].award.unwrap();
    assert_eq!((before, after), (0, 10));
    assert!(hlc_us > 0);
    assert!(reader.read(10, 0).await.unwrap().0.is_empty(), "each comes once");
    assert_eq!(store.ack(&entries[..1]).await.unwrap(), 1);
    assert_eq!(store.poll(0, i64::MAX).await.unwrap().outbox, 1);
    assert_eq!(store.ack(&entries[..1]).await.unwrap(), 0, "acknowledging twice changes nothing");

    reader.rewind();
    let (again, _) = reader.read(10, 0).await.unwrap();
    assert_eq!(again.len(), 1, "other entries are delivered again");
    assert_eq!(again[0].id, entries[1].id);
}

#[tokio::test]
async fn unreadable_entries_are_returned_raw() {
    let stores = TestStores::new().await;
    let store = stores.open_store().await;
    let _: String = stores.redis_client().await.query("XADD outbox * kind nonsense").await;
    award(&store, user(1), 10).await;
    let mut reader = store.outbox_reader().await.unwrap();
    let (entries, unread) = reader.read(10, 0).await.unwrap();
    assert_eq!((entries.len(), unread.len()), (2, store.shard_count()), "one in each shard's");
    assert_eq!(unread[0].raw, b"kind nonsense");
    assert_eq!(store.ack_unreadable(&unread[0]).await.unwrap(), 1);
}
