#!/usr/bin/env bash
# Fuzzes each target for SECONDS, starting from its corpus in fuzz/corpus (one input per line, in base64). KEEP=1 adds new inputs to
# the corpus, minimized to those with distinct coverage. A failing target leaves its input in fuzz/artifacts.
#
#   fuzz/run.sh SECONDS [TARGET…]
set -euo pipefail
cd "$(dirname "$0")"
seconds=$1
shift
targets=("$@")
if [ ${#targets[@]} = 0 ]; then
    for file in corpus/*.base64; do targets+=("$(basename "$file" .base64)"); done
fi

platform=$(rustc --print host-tuple)
RUSTC_WRAPPER=$PWD/rustc.sh cargo build --locked --target "$platform"
binary=${CARGO_TARGET_DIR:-target}/$platform/debug/drivers
failed=()
for target in "${targets[@]}"; do
    inputs=target/corpus/$target
    rm -rf "$inputs"
    mkdir -p "$inputs" "artifacts/$target"
    number=0
    while read -r line; do
        number=$((number + 1))
        base64 -d <<<"$line" >"$inputs/$number"
    done <"corpus/$target.base64"
    dictionary=()
    if [ -e "dictionaries/$target.dict" ]; then dictionary=("-dict=dictionaries/$target.dict"); fi
    echo "== $target: $number inputs"
    LAUREL_FUZZ=$target "$binary" -jobs=0 -max_total_time="$seconds" -max_len=4096 -timeout=10 -print_final_stats=1 \
        -artifact_prefix="artifacts/$target/" "${dictionary[@]}" "$inputs" 2>"target/$target.log" || failed+=("$target")
    grep -E "^#[0-9]+.*(DONE|INITED)|^stat::(number_of|average_exec|peak)|SUMMARY|panicked" "target/$target.log" || true
    if [ -n "${KEEP:-}" ]; then
        rm -rf "$inputs.minimal"
        mkdir "$inputs.minimal"
        LAUREL_FUZZ=$target "$binary" -merge=1 -max_len=4096 "$inputs.minimal" "$inputs" 2>/dev/null
        for file in "$inputs.minimal"/*; do base64 -w0 "$file"; echo; done | LC_ALL=C sort >"corpus/$target.base64"
        echo "== $target: $(wc -l <"corpus/$target.base64") inputs now in the corpus"
    fi
done
if [ ${#failed[@]} -gt 0 ]; then
    echo "failed: ${failed[*]}; their inputs are in fuzz/artifacts" >&2
    exit 1
fi
