//! Tests of the crate as others see it.

mod bytes;
mod calls;
mod examples;
mod histories;
mod language;
mod laws;
mod speed;
mod support;
mod validation;
