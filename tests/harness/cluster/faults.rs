//! Faults of cluster members.

use super::{MEMBERS, TestCluster, eventually};
use crate::harness::store_processes::{DataFile, RedisProcess};

impl TestCluster {
    /// Shortens the time-out, so that failovers take two or three seconds.
    pub async fn shorten_node_timeout(&self) {
        self.mark_changed();
        for member in self.running_members() {
            let _: () = self.query(member, "CONFIG SET cluster-node-timeout 1000 hz 10").await;
        }
    }

    /// Kills a member with SIGKILL and waits until it ends.
    pub async fn kill(&mut self, member: usize) {
        self.mark_changed();
        self.members[member].kill().await;
    }

    /// Restarts a killed member with its data.
    pub async fn restart(&mut self, member: usize) {
        self.members[member].restart(&[]).await;
    }

    /// Stops a member with SIGSTOP, as if its host hangs.
    pub fn stop(&self, member: usize) {
        self.mark_changed();
        self.members[member].stop();
    }

    /// Continues a stopped member.
    pub fn resume(&self, member: usize) {
        self.members[member].resume();
    }

    /// Deletes the data of a killed member. It keeps the state of the cluster.
    pub fn delete_data(&self, member: usize) {
        self.members[member].delete_data();
    }

    /// Kills the master of a slot and returns its number.
    pub async fn kill_master(&mut self, slot: u16) -> usize {
        let master = self.master_of(slot).await.unwrap();
        self.kill(master).await;
        master
    }

    /// Waits until a slot has another master than `from`, and every running member has its address. Returns the new master.
    pub async fn wait_for_failover(&self, slot: u16, from: usize) -> usize {
        eventually("another master", async || {
            let master = self.master_of(slot).await.filter(|master| *master != from)?;
            for member in self.running_members() {
                let nodes = self.view_of(member).await;
                let has_master = nodes.iter().any(|node| node.id == self.ids[master] && node.has(slot));
                let state: String = self.query(member, "CLUSTER INFO").await;
                (has_master && state.contains("cluster_state:ok")).then_some(())?;
            }
            Some(master)
        })
        .await
    }

    /// Kills all six members.
    pub async fn kill_all(&mut self) {
        self.mark_changed();
        futures::future::join_all(self.members.iter_mut().map(|it| it.kill())).await;
    }

    /// Restarts all six members with further options. They accept writes two seconds after the load of their data.
    pub async fn restart_all(&mut self, extra: &[&str]) {
        futures::future::join_all(self.members.iter_mut().map(|member| member.restart(extra))).await;
    }

    pub fn stop_all(&self) {
        (0..MEMBERS).for_each(|member| self.stop(member));
    }

    pub fn resume_all(&self) {
        (0..MEMBERS).for_each(|member| self.resume(member));
    }

    pub fn delete_all_data(&self) {
        (0..MEMBERS).for_each(|member| self.delete_data(member));
    }

    pub fn copy_all_data(&self) -> Vec<Vec<DataFile>> {
        self.members.iter().map(RedisProcess::copy_data).collect()
    }

    pub fn restore_all_data(&self, copies: &[Vec<DataFile>]) {
        self.members.iter().zip(copies).for_each(|(member, copy)| member.restore_data(copy));
    }
}
