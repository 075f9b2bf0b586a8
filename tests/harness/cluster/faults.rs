//! What a test does to a cluster's processes.

use super::{KeptCluster, MEMBERS, eventually};
use crate::harness::keeper::{DataFile, RedisProcess};

impl KeptCluster {
    /// Fail-overs happen fast from now on: two or three seconds after a master is gone.
    pub async fn hurry(&self) {
        self.damage();
        for member in self.living() {
            let _: () = self.ask(member, "CONFIG SET cluster-node-timeout 1000 hz 10").await;
        }
    }

    /// Kills a process with SIGKILL and waits until it is gone.
    pub async fn kill(&mut self, member: usize) {
        self.damage();
        self.members[member].kill().await;
    }

    /// Starts a killed process again on its data.
    pub async fn restart(&mut self, member: usize) {
        self.members[member].restart(&[]).await;
    }

    /// Stops a process, as a host that hangs would.
    pub fn stop(&self, member: usize) {
        self.damage();
        self.members[member].stop();
    }

    /// Lets a stopped process go on.
    pub fn go_on(&self, member: usize) {
        self.members[member].go_on();
    }

    /// Throws a killed process' data away; it knows its cluster still.
    pub fn lose_data(&self, member: usize) {
        self.members[member].lose_data();
    }

    /// Kills a slot's master and says which process that was.
    pub async fn kill_master(&mut self, slot: u16) -> usize {
        let master = self.master_of(slot).await.unwrap();
        self.kill(master).await;
        master
    }

    /// Waits until another process than this one is a slot's master, and everybody who lives knows it.
    pub async fn failed_over(&self, slot: u16, from: usize) -> usize {
        eventually("another master", async || {
            let master = self.master_of(slot).await.filter(|it| *it != from)?;
            for member in self.living() {
                let seen = self.seen_by(member).await;
                let knows = seen.iter().any(|it| it.id == self.ids[master] && it.has(slot));
                let state: String = self.ask(member, "CLUSTER INFO").await;
                (knows && state.contains("cluster_state:ok")).then_some(())?;
            }
            Some(master)
        })
        .await
    }

    /// Kills all six at once.
    pub async fn kill_all(&mut self) {
        self.damage();
        futures::future::join_all(self.members.iter_mut().map(|it| it.kill())).await;
    }

    /// Starts all six again, with further options; each is up when it has loaded its data, and takes commands two seconds later.
    pub async fn restart_all(&mut self, extra: &[&str]) {
        futures::future::join_all(self.members.iter_mut().map(|it| it.restart(extra))).await;
    }

    pub fn stop_all(&self) {
        (0..MEMBERS).for_each(|it| self.stop(it));
    }

    pub fn go_on_all(&self) {
        (0..MEMBERS).for_each(|it| self.go_on(it));
    }

    pub fn lose_all_data(&self) {
        (0..MEMBERS).for_each(|it| self.lose_data(it));
    }

    pub fn copy_all_data(&self) -> Vec<Vec<DataFile>> {
        self.members.iter().map(RedisProcess::copy_data).collect()
    }

    pub fn restore_all_data(&self, copies: &[Vec<DataFile>]) {
        self.members.iter().zip(copies).for_each(|(member, copy)| member.restore_data(copy));
    }
}
