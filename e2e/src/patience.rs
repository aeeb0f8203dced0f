//! How long to wait on a machine that may be slow.
//!
//! A deadline must never be what a test measures: it only ends a wait that would never end.

use std::{env, sync::OnceLock, time::Duration};

/// A deadline that is long enough on an ordinary machine, multiplied by `ROPEWALK_E2E_PATIENCE`
/// where that is set: an emulated processor needs a multiple of the time.
pub fn patience(ordinary: Duration) -> Duration {
    static FACTOR: OnceLock<u32> = OnceLock::new();
    ordinary * *FACTOR.get_or_init(|| factor(env::var("ROPEWALK_E2E_PATIENCE").ok().as_deref()))
}

fn factor(variable: Option<&str>) -> u32 {
    let Some(text) = variable else { return 1 };
    text.parse().unwrap_or_else(|_| panic!("ROPEWALK_E2E_PATIENCE is not a whole number: {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_the_variable_deadlines_are_ordinary() {
        assert_eq!(factor(None), 1);
        assert_eq!(factor(Some("10")), 10);
    }
}
