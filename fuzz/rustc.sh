#!/usr/bin/env bash
# Cargo calls this in place of rustc. Adds coverage counters (SanitizerCoverage, as libFuzzer reads them) to Laurel and to what
# parses for it; everything else stays as it is, which builds and runs a good deal faster. The stable compiler can do this.
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
# What has no target is run by the compiler, which has nothing to count with.
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
