//! The child processes of this run: who they are, and how they end.
//!
//! Invariant: a registered child is signalled by its own id, never by name, and only while it is ours
//! to wait for. Deliberately not here: what the children do.

use std::process::Child;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Ids of foreground children that should end when we are asked to end.
static FOREGROUND: Mutex<Vec<u32>> = Mutex::new(Vec::new());
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// From now on ctrl-c, TERM and HUP end the foreground child instead of this process, so that the caller
/// sees the child fail, returns, and drops (stops) every background service it holds.
pub(crate) fn forward_signals() {
    let Ok(mut signals) = Signals::new([SIGINT, SIGTERM, SIGHUP]) else { return };
    std::thread::spawn(move || {
        for _ in signals.forever() {
            INTERRUPTED.store(true, Ordering::SeqCst);
            let children = FOREGROUND.lock().map(|list| list.clone()).unwrap_or_default();
            for id in children {
                send(id, Signal::TERM);
            }
        }
    });
}

/// Whether somebody asked this run to end.
pub(crate) fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::SeqCst)
}

/// Waits for a foreground child; it gets TERM when we are asked to end meanwhile.
pub(crate) fn wait_foreground(child: &mut Child) -> std::io::Result<std::process::ExitStatus> {
    let id = child.id();
    if let Ok(mut list) = FOREGROUND.lock() {
        list.push(id);
    }
    if interrupted() {
        send(id, Signal::TERM);
    }
    let status = child.wait();
    if let Ok(mut list) = FOREGROUND.lock() {
        list.retain(|other| *other != id);
    }
    status
}

/// Sends one signal to one process of ours; a process that is gone already is fine.
pub(crate) fn send(id: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(id).ok().and_then(Pid::from_raw) {
        let _gone = kill_process(pid, signal);
    }
}

/// Asks the child to end with `polite`, waits up to `patience`, then kills it. Returns true when it
/// ended by itself.
pub(crate) fn stop(child: &mut Child, polite: Signal, patience: Duration) -> bool {
    if matches!(child.try_wait(), Ok(Some(_))) {
        return true;
    }
    send(child.id(), polite);
    let deadline = Instant::now() + patience;
    while Instant::now() < deadline {
        if matches!(child.try_wait(), Ok(Some(_))) {
            return true;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let _gone = child.kill();
    let _reaped = child.wait();
    false
}
