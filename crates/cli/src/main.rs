//! The `openevent` binary.
fn main() {}
