//! What a database notifies of: heard while we listen, and never again.
//!
//! Invariant: hearing never waits for the sink; what waits has an end, and what is lost is counted.
//! Not here: the outbox, which loses nothing.

use super::line::Line;
use super::{PostgresSource, error, sql};
use crate::desk::Desk;
use crate::error::Error;
use crate::message::{Letter, of_text};
use tokio_postgres::Notification;
use tokio_util::sync::CancellationToken;

/// Hears the source's channels until `round` is cancelled.
pub(super) async fn hear(
    source: &PostgresSource,
    desk: &Desk,
    round: &CancellationToken,
) -> Result<(), Error> {
    let (mut tray, waiting) = desk.tray();
    let (naming, minting) = (source.naming.clone(), desk.clone());
    let hear = move |notification: Notification| {
        let channel = notification.channel().to_owned();
        let content = of_text(&naming, &channel, notification.payload().as_bytes());
        tray.put(Letter { id: minting.mint(), channel, content });
    };
    let mut line = Line::open(&source.config, hear).await?;
    for channel in &source.channels {
        line.client.batch_execute(&sql::listen(channel)).await.map_err(error)?;
    }
    desk.connected("channels");
    let hearing = async {
        let end = tokio::select! {
            () = round.cancelled() => Ok(()),
            cause = line.ended() => Err(cause),
        };
        // With the line goes the tray, so that emptying it comes to an end.
        drop(line);
        end.inspect_err(|_| round.cancel())
    };
    let (end, ()) = tokio::join!(hearing, desk.empty(waiting, round));
    end
}
