#!/usr/bin/env bash
# A wrapper of rustc for the stable compiler. Adds coverage counters (SanitizerCoverage, for libFuzzer) to Laurel and its parsers only,
# because the other crates build and run much faster without them.
rustc=$1
shift
name=
previous=
is_for_target=false
for argument in "$@"; do
    if [ "$previous" = --crate-name ]; then name=$argument; fi
    if [ "$argument" = --target ]; then is_for_target=true; fi
    previous=$argument
done
# Build scripts and macros run on the host, and have no counters.
if ! $is_for_target; then exec "$rustc" "$@"; fi
flags=()
case $name in
laurel | drivers | serde_json | toml | toml_parser | tungstenite | jsonwebtoken | percent_encoding | miniz_oxide | redis)
    flags=(--cfg fuzzing -Cpasses=sancov-module -Ccodegen-units=16
        -Cllvm-args=-sanitizer-coverage-level=4
        -Cllvm-args=-sanitizer-coverage-inline-8bit-counters
        -Cllvm-args=-sanitizer-coverage-pc-table
        -Cllvm-args=-sanitizer-coverage-trace-compares)
    ;;
esac
exec "$rustc" "$@" "${flags[@]}"
