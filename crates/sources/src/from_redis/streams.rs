//! Streams of Redis: a consumer group keeps what is not acknowledged.
//!
//! Invariant: an entry is acknowledged after the sink has answered for it, so a crash at any instant gives it out again,
//! under the same id. What a consumer that is gone had in hand is taken over.
//! Not here: making streams shorter; whoever writes them does.

use super::{RedisSource, error};
use crate::desk::{BATCH_MAX, Desk};
use crate::error::Error;
use crate::message::{Letter, Unfit, of_fields};
use redis::aio::MultiplexedConnection;
use redis::{FromRedisValue, Value, cmd, from_redis_value};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long one question for new entries waits for some.
const BLOCK: Duration = Duration::from_secs(5);
/// How long a consumer has an entry in hand before it counts as gone.
const IDLE: Duration = Duration::from_mins(1);
/// How often such entries are looked for.
const CLAIM_EVERY: Duration = Duration::from_secs(30);
/// The code of "there is such a group already".
const GROUP_EXISTS: &str = "BUSYGROUP";
/// In a question: entries nobody was given yet.
const NEW: &str = ">";
/// In a question: from the first entry on.
const FIRST: &str = "0-0";

/// An entry: its id, and its fields unless it was removed from its stream.
type Entry = (String, Option<Vec<(Vec<u8>, Vec<u8>)>>);
/// Entries by stream.
type Entries = Vec<(String, Vec<Entry>)>;

/// Consumes the source's streams until `round` is cancelled.
pub(super) async fn consume(
    source: &RedisSource,
    desk: &Desk,
    round: &CancellationToken,
) -> Result<(), Error> {
    let mut consumer = Consumer { source, desk, connection: source.connect().await? };
    consumer.join_groups().await?;
    desk.connected("streams");
    consumer.finish().await?;
    let mut claimed_at = None;
    while !round.is_cancelled() {
        if claimed_at.is_none_or(|at: Instant| at.elapsed() >= CLAIM_EVERY) {
            consumer.claim().await?;
            claimed_at = Some(Instant::now());
        }
        // An answer that is given up is given again when we begin anew: it is in our hand on the server.
        let Some(entries) = round.run_until_cancelled(consumer.read(NEW)).await else { break };
        consumer.handle(entries?).await?;
    }
    Ok(())
}

struct Consumer<'a> {
    source: &'a RedisSource,
    desk: &'a Desk,
    connection: MultiplexedConnection,
}

impl Consumer<'_> {
    /// Makes the groups that are missing, and their streams. A new group begins with the first entry there is.
    async fn join_groups(&mut self) -> Result<(), Error> {
        for stream in &self.source.streams {
            let mut join = cmd("XGROUP");
            join.arg("CREATE").arg(stream).arg(&self.source.group).arg(FIRST).arg("MKSTREAM");
            match join.exec_async(&mut self.connection).await {
                Err(cause) if cause.code() != Some(GROUP_EXISTS) => return Err(error(cause)),
                _ => {}
            }
        }
        Ok(())
    }

    /// Ends what was in our hand when we last stopped.
    async fn finish(&mut self) -> Result<(), Error> {
        loop {
            let entries = self.read(FIRST).await?;
            if entries.iter().all(|(_, entries)| entries.is_empty()) {
                return Ok(());
            }
            self.handle(entries).await?;
        }
    }

    /// Takes over what consumers have in hand that are gone.
    async fn claim(&mut self) -> Result<(), Error> {
        for stream in &self.source.streams {
            let mut from = FIRST.to_owned();
            loop {
                let mut claim = cmd("XAUTOCLAIM");
                claim.arg(stream).arg(&self.source.group).arg(self.desk.source());
                claim.arg(IDLE.as_millis() as u64).arg(&from).arg("COUNT").arg(BATCH_MAX);
                // The server's third part, entries that were removed, came later than the command.
                let parts: Vec<Value> = claim.query_async(&mut self.connection).await.map_err(error)?;
                let mut parts = parts.into_iter();
                from = part(parts.next())?;
                let entries: Vec<Entry> = part(parts.next())?;
                self.handle(vec![(stream.clone(), entries)]).await?;
                if from == FIRST {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Entries of all streams: new ones, for which it waits, or those in our hand.
    async fn read(&mut self, which: &str) -> Result<Entries, Error> {
        let mut read = cmd("XREADGROUP");
        read.arg("GROUP").arg(&self.source.group).arg(self.desk.source()).arg("COUNT").arg(BATCH_MAX);
        if which == NEW {
            read.arg("BLOCK").arg(BLOCK.as_millis() as u64);
        }
        read.arg("STREAMS").arg(&self.source.streams);
        for _ in &self.source.streams {
            read.arg(which);
        }
        read.query_async(&mut self.connection).await.map_err(error)
    }

    /// Hands entries over, then acknowledges them.
    async fn handle(&mut self, entries: Entries) -> Result<(), Error> {
        for (stream, entries) in entries {
            let ids: Vec<String> = entries.iter().map(|(id, _)| id.clone()).collect();
            if ids.is_empty() {
                continue;
            }
            let letters: Vec<Letter> = entries.into_iter().map(|entry| self.letter(&stream, entry)).collect();
            self.desk.hand_over(&letters).await?;
            let mut acknowledge = cmd("XACK");
            acknowledge.arg(&stream).arg(&self.source.group).arg(&ids);
            acknowledge.exec_async(&mut self.connection).await.map_err(error)?;
        }
        Ok(())
    }

    fn letter(&self, stream: &str, (id, fields): Entry) -> Letter {
        let content = fields.ok_or(Unfit::Removed);
        let content = content.and_then(|fields| of_fields(&self.source.naming, stream, fields));
        Letter { id: format!("{stream}/{id}"), channel: stream.to_owned(), content }
    }
}

/// A part of an answer.
fn part<T: FromRedisValue>(value: Option<Value>) -> Result<T, Error> {
    from_redis_value(value.unwrap_or(Value::Nil)).map_err(|cause| error(cause.into()))
}
