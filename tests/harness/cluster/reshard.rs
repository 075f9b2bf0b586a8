//! A slot moves from its master to another with its keys, in the steps of Redis' own tools, so that a test can look at what
//! is between two of them.

use super::KeptCluster;

/// A slot on its way.
#[derive(Clone, Copy, Debug)]
pub struct Move {
    pub slot: u16,
    pub from: usize,
    pub to: usize,
}

impl KeptCluster {
    /// From now on what is not there any more is asked of the new master.
    pub async fn begin_move(&self, slot: u16, to: usize) -> Move {
        self.damage();
        let from = self.master_of(slot).await.unwrap();
        let (source, target) = (&self.ids[from], &self.ids[to]);
        let _: () = self.ask(to, &format!("CLUSTER SETSLOT {slot} IMPORTING {source}")).await;
        let _: () = self.ask(from, &format!("CLUSTER SETSLOT {slot} MIGRATING {target}")).await;
        Move { slot, from, to }
    }

    /// Moves at most so many keys, in the order that Redis keeps them in; says how many.
    pub async fn move_keys(&self, way: Move, at_most: usize) -> usize {
        let Move { slot, from, to } = way;
        let keys: Vec<String> = self.ask(from, &format!("CLUSTER GETKEYSINSLOT {slot} {at_most}")).await;
        for key in &keys {
            let port = self.ports.client(to);
            let done: String = self.ask(from, &format!("MIGRATE 127.0.0.1 {port} {key} 0 5000")).await;
            // `NOKEY`: it ran out in the meantime.
            assert!(done == "OK" || done == "NOKEY", "{key}: {done}");
        }
        keys.len()
    }

    /// Tells every master where the slot is now, the new one first: nobody must be sent to one who does not know.
    pub async fn end_move(&self, way: Move) {
        let rest = self.masters().await.into_iter().filter(|it| ![way.from, way.to].contains(it));
        for member in [way.to, way.from].into_iter().chain(rest) {
            let id = &self.ids[way.to];
            let _: () = self.ask(member, &format!("CLUSTER SETSLOT {} NODE {id}", way.slot)).await;
        }
    }

    /// The whole way at once.
    pub async fn reshard(&self, slot: u16, to: usize) {
        let way = self.begin_move(slot, to).await;
        while self.move_keys(way, 100).await > 0 {}
        self.end_move(way).await;
    }
}
