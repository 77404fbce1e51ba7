//! Catches panics of other crates and returns them as errors.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::sync::Once;

thread_local! {
    /// Location of the panic that is being caught on this thread; `None` while nothing is caught.
    static CAUGHT: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// A caught panic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Panic {
    /// The panic's message, which may quote its input.
    pub message: String,
    /// Location of the panic: source file, line and column.
    pub place: String,
}

/// Has panics of this process logged by their place alone, in place of Rust's report: a message may quote a text, and a
/// report is no line of the log.
pub fn log_places() {
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        tracing::error!(place, "panicked");
    }));
}

/// Returns the result of `work`, or the panic that ended it. After a panic, values that `work` changed must not be
/// used. The panic is not printed: the caller reports it.
///
/// # Errors
/// The panic.
pub fn caught<T>(work: impl FnOnce() -> T) -> Result<T, Panic> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let print = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            let noted = CAUGHT.with_borrow_mut(|place| {
                let place = place.as_mut()?;
                *place = panic
                    .location()
                    .map(ToString::to_string)
                    .unwrap_or_default();
                Some(())
            });
            if noted.is_none() {
                print(panic);
            }
        }));
    });
    let outer = CAUGHT.replace(Some(String::new()));
    let outcome = catch_unwind(AssertUnwindSafe(work));
    let place = CAUGHT.replace(outer).unwrap_or_default();
    outcome.map_err(|panic| Panic {
        message: message(&*panic).to_owned(),
        place,
    })
}

fn message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_its_message_and_its_place() {
        assert_eq!(caught(|| 1), Ok(1));
        let inner = |reason: &str| caught(|| -> () { panic!("{reason} of four") });
        let panic = inner("two").unwrap_err();
        assert_eq!(panic.message, "two of four");
        assert!(panic.place.contains("panics.rs"), "{}", panic.place);
        // A nested call leaves the outer one intact.
        let outer = caught(|| (inner("one"), 5)).unwrap();
        assert!(outer.0.is_err() && outer.1 == 5);
    }
}
