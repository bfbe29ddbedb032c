//! Whether the engine of this node drives.
//!
//! Invariant: it is said only while runs are in memory and turns are made.
//! Not here: who may drive (`restore`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Driving(Arc<AtomicBool>);

/// It drives as long as this lives.
#[derive(Debug)]
pub(crate) struct Seat(Arc<AtomicBool>);

impl Driving {
    pub(crate) fn begin(&self) -> Seat {
        self.0.store(true, Ordering::Release);
        Seat(Arc::clone(&self.0))
    }

    pub(crate) fn is_so(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}
