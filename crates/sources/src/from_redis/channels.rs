//! Channels of Redis: heard while we listen, and never again.
//!
//! Invariant: hearing never waits for the sink; what waits has an end, and what is lost is counted.
//! Not here: streams, which lose nothing.

use super::{RedisSource, in_time};
use crate::desk::{Desk, Tray};
use crate::error::Error;
use crate::message::{Letter, of_text};
use futures::StreamExt as _;
use redis::aio::{PubSubSink, PubSubStream};
use redis::{Msg, Value};
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// How often the server is asked whether it is still there: nothing may be said for days.
const PULSE: Duration = Duration::from_secs(15);

/// Hears the source's channels until `round` is cancelled.
pub(super) async fn hear(source: &RedisSource, desk: &Desk, round: &CancellationToken) -> Result<(), Error> {
    let opened = in_time(source.client.get_async_pubsub()).await?;
    let (mut asking, heard) = opened.split();
    if !source.channels.is_empty() {
        in_time(asking.subscribe(&source.channels)).await?;
    }
    if !source.patterns.is_empty() {
        in_time(asking.psubscribe(&source.patterns)).await?;
    }
    desk.connected("channels");
    let (tray, waiting) = desk.tray();
    let hearing = async {
        let end = take_in(source, desk, (asking, heard), tray, round).await;
        end.inspect_err(|_| round.cancel())
    };
    let (end, ()) = tokio::join!(hearing, desk.empty(waiting, round));
    end
}

async fn take_in(
    source: &RedisSource,
    desk: &Desk,
    (mut asking, mut heard): (PubSubSink, PubSubStream),
    mut tray: Tray,
    round: &CancellationToken,
) -> Result<(), Error> {
    let mut pulse = interval(PULSE);
    pulse.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = round.cancelled() => return Ok(()),
            message = heard.next() => tray.put(letter(source, desk, message.ok_or(Error::Ended)?)),
            _ = pulse.tick() => in_time(asking.ping::<Value>()).await.map(drop)?,
        }
    }
}

fn letter(source: &RedisSource, desk: &Desk, message: Msg) -> Letter {
    let channel = message.get_channel_name().to_owned();
    let content = of_text(&source.naming, &channel, message.get_payload_bytes());
    Letter { id: desk.mint(), channel, content }
}
