//! An outbox: a table another's transactions write to, and we empty.
//!
//! Invariant: rows are deleted in the transaction that locked them, after the sink has answered for them. A crash at any
//! instant leaves them in the table; they are handed over again under the same ids.
//! Not here: making the table (`sql`); whoever owns the database does, with what `openevent sources outbox-sql` prints.

use super::line::Line;
use super::{PostgresSource, Table, error, sql};
use crate::desk::{BATCH_MAX, Desk};
use crate::error::Error;
use crate::message::{Content, Letter, Unfit, payload};
use openevent_domain::signal::SignalName;
use serde_json::Map;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};
use tokio_postgres::{Client, Row};
use tokio_util::sync::CancellationToken;

/// How often the table is looked at although nobody woke us: a table made by hand may have no trigger.
const LOOK: Duration = Duration::from_secs(5);
/// Should we vanish or hang, the server lets go of our locks after this.
const SESSION: &str = "SET statement_timeout = '30s'; SET idle_in_transaction_session_timeout = '60s'; SET lock_timeout = '10s'";

/// Empties the outbox until `round` is cancelled.
pub(super) async fn empty(
    source: &PostgresSource,
    table: &Table,
    desk: &Desk,
    round: &CancellationToken,
) -> Result<(), Error> {
    let (waker, woken) = flume::bounded(1);
    let wake = move |_| {
        // When it is full we are woken already.
        let _ = waker.try_send(());
    };
    let mut line = Line::open(&source.config, wake).await?;
    line.client.batch_execute(SESSION).await.map_err(error)?;
    line.client.batch_execute(&sql::listen(table.name())).await.map_err(error)?;
    line.client.batch_execute(&table.look()).await.map_err(error)?;
    desk.connected("outbox");
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !round.is_cancelled() {
        if take_some(&mut line.client, table, desk).await? == BATCH_MAX {
            continue;
        }
        tokio::select! {
            () = round.cancelled() => {}
            _ = looks.tick() => {}
            Ok(()) = woken.recv_async() => {}
            cause = line.ended() => return Err(cause),
        }
    }
    Ok(())
}

/// Makes messages of some rows and deletes them. Answers how many there were.
async fn take_some(client: &mut Client, table: &Table, desk: &Desk) -> Result<usize, Error> {
    let transaction = client.transaction().await.map_err(error)?;
    let rows = transaction.query(&table.take(), &[&(BATCH_MAX as i64)]).await.map_err(error)?;
    if rows.is_empty() {
        return transaction.rollback().await.map(|()| 0).map_err(error);
    }
    let read = rows.iter().map(|row| read(table, row).map_err(error));
    let (ids, letters): (Vec<i64>, Vec<Letter>) = read.collect::<Result<Vec<_>, _>>()?.into_iter().unzip();
    // When this fails the transaction is dropped, and with it rolled back.
    desk.hand_over(&letters).await?;
    transaction.execute(&table.delete(), &[&ids]).await.map_err(error)?;
    transaction.commit().await.map_err(error)?;
    Ok(rows.len())
}

/// A row's id, and what is in it. The time is part of what it is known by: a table that is made anew begins to count
/// anew, and its rows are others.
fn read(table: &Table, row: &Row) -> Result<(i64, Letter), tokio_postgres::Error> {
    let (id, made_at_us): (i64, Option<i64>) = (row.try_get(0)?, row.try_get(1)?);
    let (name, payload): (Option<String>, Option<String>) = (row.try_get(2)?, row.try_get(3)?);
    let letter = Letter {
        id: format!("{table}/{id}/{}", made_at_us.unwrap_or_default()),
        channel: table.name().to_owned(),
        content: content(&name.unwrap_or_default(), payload.as_deref()),
    };
    Ok((id, letter))
}

fn content(name: &str, text: Option<&str>) -> Result<Content, Unfit> {
    let name = SignalName::parse(name)?;
    let payload = text.map_or(Ok(Map::new()), |text| payload(text.as_bytes()))?;
    Ok(Content { name, payload })
}
