//! Random bits for jitter, timeouts and epochs: nothing that must stay secret.
//!
//! A simulation gives its thread a seeded source, such as [`SplitMix64`]; no product code does.

use std::cell::RefCell;
use std::rc::Rc;

use crate::clock;

pub mod split_mix;

pub use split_mix::SplitMix64;

/// A source that stands in for the system's.
pub type Source = Rc<dyn Fn() -> u64>;

thread_local! {
    static STAND_IN: RefCell<Option<Source>> = const { RefCell::new(None) };
}

/// 64 random bits. Where the system has none to give the clock serves: whoever asks here only needs
/// numbers that differ from each other.
#[must_use]
pub fn u64() -> u64 {
    let stand_in = STAND_IN.with_borrow(Clone::clone);
    let system = || getrandom::u64().unwrap_or_else(|_| clock::now().as_nanos());
    stand_in.map_or_else(system, |source| source())
}

/// Gives this thread another source, or the system's again.
#[doc(hidden)]
pub fn substitute(source: Option<Source>) {
    STAND_IN.set(source);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_source_is_this_threads_alone() {
        assert_ne!(u64(), u64());
        substitute(Some(Rc::new(|| 7)));
        assert_eq!((u64(), u64()), (7, 7));
        assert!(std::thread::spawn(u64).join().is_ok_and(|there| there != 7));
        substitute(None);
        assert_ne!(u64(), u64());
    }
}
