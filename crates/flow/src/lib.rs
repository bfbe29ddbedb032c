//! Placeholder room; filled in the commits that follow.
