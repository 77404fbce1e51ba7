#!/bin/sh
# Called by cargo in place of rustc for this package: adds libFuzzer's instrumentation to the library and the harness.
# Cargo keeps the results apart from usual ones, and dependencies are shared with other builds.
case " $* " in
*" --crate-name electra_server "* | *" --crate-name fuzz "*)
    exec "$@" -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=3 \
        -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
        -Cllvm-args=-sanitizer-coverage-trace-compares
    ;;
esac
exec "$@"
