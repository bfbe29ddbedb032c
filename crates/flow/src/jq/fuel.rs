//! The budget of one evaluation: steps, sizes, depth, stack.
//!
//! Invariant: the budget alone decides when an expression is cut off, never a clock, so it is cut off at the same
//! point on every machine. Once cut off, every step fails until the evaluation has unwound.
//! Not here: what a step is; values and library functions charge for what they do.

use std::cell::Cell;

/// Steps one evaluation may take; one step is about 20–50 ns.
pub(crate) const STEPS_MAX: u64 = 2_000_000;
/// Nodes of one value, where 8 bytes of text count as one more node.
pub(crate) const VALUE_NODES_MAX: u64 = 2_000_000;
/// Levels of arrays and objects in one value; leaves room for envelopes under the 128 levels JSON readers accept.
pub(crate) const VALUE_DEPTH_MAX: u32 = 100;
/// Stack one evaluation may use before it counts as runaway recursion.
pub(crate) const STACK_BYTES_MAX: usize = 1024 * 1024;

/// Why an evaluation was cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CutOff {
    /// It took more than [`STEPS_MAX`] steps.
    Steps,
    /// It made a value above [`VALUE_NODES_MAX`].
    Size,
    /// It made a value deeper than [`VALUE_DEPTH_MAX`].
    Depth,
    /// It recursed deeper than [`STACK_BYTES_MAX`].
    Recursion,
}

impl CutOff {
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Steps => "the expression was cut off: it takes too many steps",
            Self::Size => "the expression was cut off: it makes a value that is too large",
            Self::Depth => "the expression was cut off: it makes a value that is nested too deeply",
            Self::Recursion => "the expression was cut off: it recurses too deeply",
        }
    }
}

thread_local! {
    static STEPS: Cell<u64> = const { Cell::new(u64::MAX) };
    static CUT: Cell<Option<CutOff>> = const { Cell::new(None) };
    static STACK_START: Cell<usize> = const { Cell::new(0) };
}

/// Runs `work` under a fresh budget of `steps`; `Err` when it was cut off.
pub(crate) fn metered<T>(steps: u64, work: impl FnOnce() -> T) -> Result<T, CutOff> {
    STEPS.set(steps);
    CUT.set(None);
    let result = work();
    STEPS.set(u64::MAX);
    STACK_START.set(0);
    match CUT.take() {
        None => Ok(result),
        Some(cut) => Err(cut),
    }
}

/// Counts the stack from here on.
pub(crate) fn mark_stack() {
    STACK_START.set(stack_pointer());
}

/// Takes `steps` from the budget; `false` when the evaluation is cut off.
pub(crate) fn charge(steps: u64) -> bool {
    let left = STEPS.get();
    if left == u64::MAX {
        return true;
    }
    if left >= steps {
        STEPS.set(left - steps);
        return true;
    }
    cut_off(CutOff::Steps);
    false
}

/// Takes a step per 16 bytes of text, and one.
pub(crate) fn charge_bytes(bytes: usize) -> bool {
    charge(bytes as u64 / 16 + 1)
}

/// Cuts the evaluation off; the first reason stays.
pub(crate) fn cut_off(reason: CutOff) {
    if STEPS.get() == u64::MAX {
        return; // nothing is being evaluated
    }
    if CUT.get().is_none() {
        CUT.set(Some(reason));
    }
    STEPS.set(0);
}

/// A step that also looks at the stack; `false` when the evaluation is cut off.
pub(crate) fn charge_call(steps: u64) -> bool {
    let start = STACK_START.get();
    if start != 0 && start.abs_diff(stack_pointer()) > STACK_BYTES_MAX {
        cut_off(CutOff::Recursion);
        return false;
    }
    charge(steps)
}

/// Roughly where the stack is: the address of a local.
#[inline(never)]
fn stack_pointer() -> usize {
    let local = 0_u8;
    std::hint::black_box(std::ptr::from_ref(&local)).addr()
}
