//! Any bytes as an expression, evaluated over a small document.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| openevent_flow::fuzzing::expression(data));
