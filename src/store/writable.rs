//! Whether Redis takes writes: it may answer every read, and refuse what awards do.

use futures::future::join_all;
use redis::Value;

use super::Store;
use super::redis_error::words;
use super::server::{Question, Unanswered};
use super::shard::Shard;
use crate::error::Fault;

impl Store {
    /// The first refusal of a write, as `address: what it says`: memory is full, replicas are missing, it is a replica, it cannot save, or
    /// Laurel has no rights. Each shard's server is asked for a write that changes nothing: a new score of a member that is not there.
    ///
    /// # Errors
    /// A server does not answer.
    pub async fn write_refusal(&self) -> Result<Option<String>, Fault> {
        for refusal in join_all(self.places().into_iter().map(|it| self.refusal_of(it))).await {
            if let Some(refusal) = refusal? {
                return Ok(Some(refusal));
            }
        }
        Ok(None)
    }

    async fn refusal_of(&self, shard: &Shard) -> Result<Option<String>, Fault> {
        let mut write = redis::cmd("ZADD");
        write.arg(&shard.keys.board).arg("XX").arg(0).arg("");
        match self.ask_at::<Value>(shard, Question::Command(&write)).await {
            Ok(_) => Ok(None),
            Err(Unanswered::Failed(error)) if error.code().is_some() => {
                Ok(Some(format!("{}: {}", shard.server().address, words(&error))))
            }
            Err(unanswered) => Err(unanswered.into_fault("look whether Redis takes writes")),
        }
    }
}
