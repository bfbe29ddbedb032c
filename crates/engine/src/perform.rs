//! What follows a commit: calls that set out, timers that are set, listens that begin.
//!
//! Invariant: nothing here is lost by a crash; the restored run asks for all of it again under the same numbers.
//! Not here: the calls themselves (`actions`).

use crate::actions::{self, Calls, Order};
use crate::driver::{Driver, PAUSE_MS_MAX};
use crate::handle::Message;
use openevent_domain::ambient::Millis;
use openevent_flow::{Call, Command};
use openevent_store::signals::SignalRecord;
use std::sync::Arc;
use std::time::Duration;

impl Driver {
    pub(crate) fn perform(&mut self, handle: u64, command: Command) {
        match command {
            Command::Call { op, call } => self.call(handle, op, call),
            Command::Timer { op, at } => self.timers.set(at, handle, op),
            Command::Listen { op, filters, since } => {
                let mut names: Vec<Option<String>> =
                    filters.iter().map(|filter| filter.event_type().map(str::to_owned)).collect();
                if names.is_empty() {
                    names.push(None);
                }
                self.listen(handle, op, names, since - self.settings.lookback_ms);
            }
            Command::Abandon { op } => {
                if let Some(live) = self.runs.get_mut(&handle) {
                    live.abandon(op);
                    self.listeners.abandon(&live.tenant, handle, op);
                }
            }
            Command::Emit { .. } | Command::Child { .. } | Command::Finish(_) => {}
        }
    }

    fn call(&mut self, handle: u64, op: u64, call: Call) {
        let Some(live) = self.runs.get_mut(&handle) else { return };
        let outbox = self.outbox.clone();
        if matches!((&self.outside.calls, &call), (Calls::Instant, call) if !matches!(call, Call::Secrets { .. }))
            && outbox.try_send(Message::Answer { handle, input: actions::instant(op) }).is_ok()
        {
            return;
        }
        let (outside, permits) = (Arc::clone(&self.outside), Arc::clone(&self.permits));
        let (tenant, run) = (live.tenant.clone(), live.id.clone());
        let (order, secrets) = (Order { tenant, run, op }, live.run.secrets());
        let work = async move {
            let Ok(_permit) = permits.acquire().await else { return };
            let input = outside.perform(order, call, secrets).await;
            let _ = outbox.send_async(Message::Answer { handle, input }).await;
        };
        live.calls.retain(|(_, running)| !running.is_finished());
        live.calls.push((op, self.owner.tasks.spawn(work).abort_handle()));
    }

    fn listen(&mut self, handle: u64, op: u64, names: Vec<Option<String>>, since: Millis) {
        let Some(live) = self.runs.get_mut(&handle) else { return };
        live.hears_from = live.hears_from.min(since);
        self.listeners.add(&live.tenant, handle, op, &names);
        self.store.wake().want_signals(true);
        let (store, outbox, tenant) = (Arc::clone(&self.store), self.outbox.clone(), live.tenant.clone());
        let look_back = async move {
            for name in names {
                let offer = |records: Vec<SignalRecord>| {
                    let outbox = outbox.clone();
                    let events = records.into_iter().map(crate::restore::event).collect();
                    async move { outbox.send_async(Message::Offer { handle, events }).await.is_ok() }
                };
                // What is offered twice is consumed once, so the whole look is repeated.
                while crate::restore::look_back(&store, &tenant, name.as_deref(), since, offer).await.is_err()
                {
                    tokio::time::sleep(Duration::from_millis(PAUSE_MS_MAX)).await;
                }
            }
        };
        self.owner.tasks.spawn(self.owner.stop.clone().run_until_cancelled_owned(look_back));
    }
}
