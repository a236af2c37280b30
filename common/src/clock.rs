//! The one place that reads the machine's clocks; everything pure is handed what it returns.
//!
//! A simulation gives its thread another clock; no product code does.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::time::Timestamp;

/// A clock that stands in for the machine's.
pub type Clock = Rc<dyn Fn() -> Timestamp>;

thread_local! {
    static STAND_IN: RefCell<Option<Clock>> = const { RefCell::new(None) };
}

/// The wall clock now; 1970 where the clock stands before it.
#[must_use]
pub fn now() -> Timestamp {
    let stand_in = STAND_IN.with_borrow(Clone::clone);
    stand_in.map_or_else(machine, |clock| clock())
}

#[allow(clippy::disallowed_methods, reason = "this is the one place")]
fn machine() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_parts(since_epoch.as_secs(), since_epoch.subsec_nanos())
}

/// Gives this thread another clock, or the machine's again.
#[doc(hidden)]
pub fn substitute(clock: Option<Clock>) {
    STAND_IN.set(clock);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_clock_is_this_threads_alone() {
        let at = Timestamp::from_parts(7, 0);
        substitute(Some(Rc::new(move || at)));
        assert_eq!(now(), at);
        assert!(std::thread::spawn(now).join().is_ok_and(|there| there > at));
        substitute(None);
        assert!(now() > at);
    }
}
