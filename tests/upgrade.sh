#!/usr/bin/env bash
# A rollout under load from the programs of another commit to those of this checkout: tests/images/rollout.sh with two
# images. Nothing may be lost, nothing sent twice.
#
#   tests/upgrade.sh OLD [EVENTS]     OLD: a commit, tag or branch; default of EVENTS: 900
#
# OLD is built in a worktree of its own, without optimisation, with the dependencies that are compiled here already.
# Settings, topology and permissions are this checkout's, as an operator applies them before a rollout.
#
# Needs Git with OLD in it, Docker, Compose, Python 3, curl, and the images of tests/images/build.sh debian12.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly root
readonly old=${1:-} events=${2:-900}
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target}

say() { printf 'upgrade: %s\n' "$*"; }
fail() {
    printf 'upgrade: %s\n' "$*" >&2
    exit 1
}

end() {
    local code=$?
    docker image rm "promemoria-upgrade:old-$$" "promemoria-upgrade:new-$$" "promemoria-upgrade:sandbox-$$" \
        >/dev/null 2>&1 || true
    git -C "$root" worktree remove --force "$work/old" 2>/dev/null || true
    rm -rf "$work"
    exit "$code"
}

# The programs of a source tree as an image, laid out as deploy/Dockerfile lays them out.
image() { # SOURCE PROGRAM IMAGE [NAME]...
    local source=$1 program=$2 image=$3 layout
    shift 3
    layout=$(mktemp -d "$work/layout.XXXXXX")
    (cd "$source" && RUNTIME_BASE=scratch sh deploy/images/root.sh "$layout" "$CARGO_TARGET_DIR/debug/$program" "$@")
    [[ $program == sandbox ]] || cp -R "$source/shared/catalogue" "$layout/etc/promemoria/catalogue"
    tar -C "$layout" -c . | docker import --change 'ENV PATH=/usr/local/bin' --change 'USER 65532:65532' \
        --change 'CMD ["sandbox", "--bind", "0.0.0.0:8099"]' - "$image" >/dev/null
    rm -rf "$layout"
}

build() { # SOURCE IMAGE
    [[ -d $1/services/fleet ]] || fail "$old has no services/fleet: it is too old for this script"
    (cd "$1" && PROMEMORIA_COMMIT=$(git rev-parse HEAD) cargo build --quiet --locked --package fleet --package sandbox)
    image "$1" fleet "$2" scheduler renderer dispatcher promemoria
}

main() {
    [[ -n $old ]] || fail "which commit? make test-upgrade OLD=v0.1.0"
    local commit
    commit=$(git -C "$root" rev-parse --verify --quiet "$old^{commit}") || fail "$old is no commit of this repository"
    work=$(mktemp -d)
    trap 'end' EXIT
    git -C "$root" worktree add --quiet --detach "$work/old" "$commit"
    say "building $old (${commit:0:12})"
    build "$work/old" "promemoria-upgrade:old-$$"
    say "building this checkout"
    build "$root" "promemoria-upgrade:new-$$"
    image "$root" sandbox "promemoria-upgrade:sandbox-$$"
    # Their memory says nothing: they are not optimised.
    PROMEMORIA_IMAGE="promemoria-upgrade:old-$$" PROMEMORIA_NEXT_IMAGE="promemoria-upgrade:new-$$" \
        PROMEMORIA_SANDBOX_IMAGE="promemoria-upgrade:sandbox-$$" IDLE_LIMIT=1000 \
        "$root/tests/images/rollout.sh" "$events"
}

main
