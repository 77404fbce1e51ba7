//! Runs one fuzz target on libFuzzer. The environment variable `FUZZ_TARGET` names it.

#![no_main]

mod mutate;

use std::sync::LazyLock;

use electra_server::fuzzing::{TARGETS, Target};
use libfuzzer_sys::{fuzz_mutator, fuzz_target};

static TARGET: LazyLock<&Target> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    let found = TARGETS.iter().find(|target| target.name == name);
    found.unwrap_or_else(|| {
        let names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
        panic!(
            "FUZZ_TARGET is `{name}`, and must be one of {}",
            names.join(", ")
        )
    })
});

fuzz_target!(|bytes: &[u8]| (TARGET.run)(bytes));

fuzz_mutator!(|bytes: &mut [u8], size: usize, room: usize, seed: u32| {
    mutate::json(bytes, size, room, seed)
        .unwrap_or_else(|| libfuzzer_sys::fuzzer_mutate(bytes, size, room))
});
