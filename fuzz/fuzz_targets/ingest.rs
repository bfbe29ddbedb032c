//! Any bytes as a body of signal ingest, in every form it is taken: plain, batch, CloudEvents in three modes.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| openevent_server::app::intake::read_any(data));
