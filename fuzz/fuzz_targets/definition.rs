//! Any bytes as a definition; one that is accepted is started and given answers.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| openevent_flow::fuzzing::definition(data));
