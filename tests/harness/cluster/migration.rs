//! Migrates a slot with its keys to another master, in the steps of `redis-cli`. A test can run between two steps.

use super::TestCluster;

/// A migrating slot.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    pub slot: u16,
    pub from: usize,
    pub to: usize,
}

impl TestCluster {
    /// Starts a migration: the old master redirects requests for missing keys to the new one.
    pub async fn start_migration(&self, slot: u16, to: usize) -> Migration {
        self.mark_changed();
        let from = self.master_of(slot).await.unwrap();
        let (source, target) = (&self.ids[from], &self.ids[to]);
        let _: () = self.query(to, &format!("CLUSTER SETSLOT {slot} IMPORTING {source}")).await;
        let _: () = self.query(from, &format!("CLUSTER SETSLOT {slot} MIGRATING {target}")).await;
        Migration { slot, from, to }
    }

    /// Migrates up to `max_keys` keys. Returns how many.
    pub async fn migrate_keys(&self, migration: Migration, max_keys: usize) -> usize {
        let Migration { slot, from, to } = migration;
        let keys: Vec<String> = self.query(from, &format!("CLUSTER GETKEYSINSLOT {slot} {max_keys}")).await;
        for key in &keys {
            let port = self.ports.client(to);
            let reply: String = self.query(from, &format!("MIGRATE 127.0.0.1 {port} {key} 0 5000")).await;
            // `NOKEY` means that the key has expired.
            assert!(reply == "OK" || reply == "NOKEY", "{key}: {reply}");
        }
        keys.len()
    }

    /// Assigns the slot to the new master, there first: other members may redirect to it at once.
    pub async fn finish_migration(&self, migration: Migration) {
        let Migration { slot, from, to } = migration;
        let rest = self.masters().await.into_iter().filter(|member| ![from, to].contains(member));
        for member in [to, from].into_iter().chain(rest) {
            let id = &self.ids[to];
            let _: () = self.query(member, &format!("CLUSTER SETSLOT {slot} NODE {id}")).await;
        }
    }

    /// Migrates a slot in one call.
    pub async fn migrate_slot(&self, slot: u16, to: usize) {
        let migration = self.start_migration(slot, to).await;
        while self.migrate_keys(migration, 100).await > 0 {}
        self.finish_migration(migration).await;
    }
}
