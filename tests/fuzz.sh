#!/usr/bin/env bash
# Fuzzing led by coverage: events, texts and answers of IO, each for so many minutes.
#
#   tests/fuzz.sh [MINUTES]        or: make fuzz MINUTES=10
#
# The targets are tests like any other (bolero): `cargo test` runs 2,000 random inputs of each, here libFuzzer makes
# them, for as long as asked. Their inputs describe damage to the kept files of shared/tests/corpus and
# services/dispatcher/tests/corpus; what libFuzzer learns stays in target/fuzz for the next time. An input that fails is
# printed, shrunk; the file it came from belongs into the kept corpus then.
#
# cargo-bolero is compiled into target/tools once. Works with the stable compiler: without a sanitizer, which safe Rust
# (`forbid(unsafe_code)`) needs less than most.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly MINUTES=${1:-1} BOLERO=0.13.5
PATH="$PWD/target/tools/bin:$PATH"
if [[ $(cargo-bolero --version 2>/dev/null) != *" $BOLERO" ]]; then
    CARGO_TARGET_DIR=target/tools/build \
        cargo install --quiet --locked --no-default-features --root target/tools "cargo-bolero@$BOLERO"
fi

fuzz() { # PACKAGE TARGET
    local kept="$PWD/target/fuzz/${2//::/.}"
    mkdir -p "$kept/corpus" "$kept/crashes"
    printf 'fuzz: %s for %s min\n' "$2" "$MINUTES"
    cargo bolero test --package "$1" "$2" --engine libfuzzer --sanitizer NONE -T "${MINUTES}m" \
        --corpus-dir "$kept/corpus" --crashes-dir "$kept/crashes" --target-dir target/fuzz/build
}

fuzz shared domain::event::tests::corpus::damaged_copies_of_the_corpus_survive
fuzz shared domain::event::tests::corpus::good_events_with_little_damage_survive
fuzz dispatcher io_api::answer::corpus::damaged_answers_keep_the_line
