//! Limits on JSON before it is parsed: depth counted on the bytes, so that a bomb costs one pass.
//!
//! Invariant: brackets inside strings do not count.
//! Not here: parsing.

/// How deep a request's JSON may nest (contract §4).
pub const DEPTH_MAX: usize = 64;

/// Whether the brackets in `text` nest deeper than `depth_max`.
pub fn deeper_than(text: &[u8], depth_max: usize) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in text {
        match (in_string, escaped, byte) {
            (true, true, _) => escaped = false,
            (true, false, b'\\') => escaped = true,
            (_, false, b'"') => in_string = !in_string,
            (false, _, b'{' | b'[') => {
                depth += 1;
                if depth > depth_max {
                    return true;
                }
            }
            (false, _, b'}' | b']') => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::deeper_than;

    #[test]
    fn depth_is_counted_outside_strings_only() {
        assert!(!deeper_than(br#"{"a":[1,{"b":"[[[[[[\"[["}]}"#, 3));
        assert!(deeper_than(br#"{"a":[1,{"b":1}]}"#, 2));
        assert!(!deeper_than("[]".repeat(1000).as_bytes(), 1));
    }
}
