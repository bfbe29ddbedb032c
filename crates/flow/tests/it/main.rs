//! Tests of the crate as others see it.

mod bytes;
mod calls;
mod chronicles;
mod differential;
mod document;
mod examples;
mod extensions;
mod histories;
mod language;
mod laws;
mod linking;
mod retries;
mod scenarios;
mod speed;
mod starts;
mod support;
mod validation;
mod whole_runs;
