#!/usr/bin/env bash
# A wrapper of rustc. Adds coverage counters (SanitizerCoverage, for libFuzzer) to Laurel and its parsers; without them everything else
# builds and runs much faster. Works with the stable compiler.
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
# Build scripts and macros run on the host, without counters.
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
