#!/usr/bin/env bash
# Builds the images of deploy/Dockerfile, byte for byte the same each time, with a bill of materials beside each.
#
#   deploy/images/build.sh [--no-cache]
#
# Leaves the images promemoria:VERSION and promemoria-sandbox:VERSION in Docker, and in target/images for each
# NAME: NAME.tar (docker load takes it), NAME.cdx.json (CycloneDX) and NAME.id (the image's ID).
#
# Needs Docker and Python 3. Where BUILD_BASE names an image (say rust:1.95-bookworm), that one compiles; otherwise no
# registry is needed: the build base is made of Debian's packages and of this machine's own Rust, and debootstrap and
# root, or sudo, are needed too (deploy/setup.sh images). RUNTIME_BASE names what lies below (default: scratch).
# Crates come from the public registry, by the host's network and proxy.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
readonly root
readonly out="$root/target/images"
readonly local_base=promemoria/build:debian12
# The builder without plug-ins is there with every Docker; with BuildKit the result is the same.
export DOCKER_BUILDKIT=${DOCKER_BUILDKIT:-0}

say() { printf 'images: %s\n' "$*"; }
fail() {
    printf 'images: %s\n' "$*" >&2
    exit 1
}

run_logged() { # LOG COMMAND...
    local log=$1
    shift
    "$@" >"$log" 2>&1 || fail "failed: ${*:1:3}; the last lines of ${log#"$root"/}: $(tail -n 20 "$log")"
}

# Debian, a C compiler, and the compiler and libraries of this machine's Rust.
build_local_base() {
    local sysroot context recipe
    sysroot=$(cd "$root" && rustc --print sysroot)
    "$root/tests/images/build.sh" --base debian12
    recipe=$( (rustc --version --verbose && docker image inspect -f '{{.Id}}' promemoria/base:debian12 &&
        cat "$root/deploy/images/toolchain/Dockerfile") | sha256sum | cut -c1-16)
    if [[ $(docker image inspect -f '{{index .Config.Labels "promemoria.recipe"}}' "$local_base" 2>/dev/null) == "$recipe" ]]; then
        return 0
    fi
    say "$local_base: Debian 12 with $(rustc --version)"
    context=$(mktemp -d)
    # shellcheck disable=SC2064 # the folder of now
    trap "rm -rf '$context'" EXIT
    mkdir -p "$context/rust"
    # Without documentation, formatter, lints and sources: they build nothing.
    tar -C "$sysroot" -c --exclude=lib/rustlib/src bin/cargo bin/rustc lib | tar -C "$context/rust" -x
    cp "$root/deploy/images/toolchain/Dockerfile" "$context/"
    cp /etc/ssl/certs/ca-certificates.crt "$context/roots.pem"
    run_logged "$out/toolchain.log" docker build --network host --label "promemoria.recipe=$recipe" --tag "$local_base" \
        --build-arg BASE=promemoria/base:debian12 --build-arg http_proxy --build-arg https_proxy "$context"
}

build_target() { # TARGET NAME [OPTION]...
    local target=$1 name=$2
    shift 2
    say "$name: building"
    run_logged "$out/$name.log" docker build --network host --file "$root/deploy/Dockerfile" --target "$target" \
        --tag "$name:build" --build-arg "BUILD_BASE=$build_base" --build-arg "RUNTIME_BASE=$runtime_base" \
        --build-arg "VERSION=$version" --build-arg "PROMEMORIA_COMMIT=$commit" \
        --build-arg http_proxy --build-arg https_proxy "$@" "$root"
    docker save "$name:build" | python3 "$root/deploy/images/reproduce.py" "$name:$version" "$epoch" \
        >"$out/$name.tar" 2>"$out/$name.id"
    docker image rm "$name:build" >/dev/null
    docker load --quiet --input "$out/$name.tar" >/dev/null
    python3 "$root/deploy/images/bill.py" "$target" "$name" "$version" "$out/$name.tar" >"$out/$name.cdx.json"
    say "$name:$version: $(cat "$out/$name.id"), $(($(stat -c %s "$out/$name.tar") / 1000000)) MB," \
        "$(gzip -c "$out/$name.tar" | wc -c | awk '{ printf "%d", $1 / 1000000 }') MB compressed"
}

main() {
    local options=("$@")
    command -v docker >/dev/null || fail "docker is missing"
    docker version >/dev/null 2>&1 || fail "the docker daemon does not answer"
    mkdir -p "$out"
    cd "$root"
    version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
    commit=${PROMEMORIA_COMMIT:-$(git rev-parse HEAD 2>/dev/null || echo unknown)}
    # Not the commit's name alone: what is not committed is not that commit.
    if [[ -z ${PROMEMORIA_COMMIT:-} && $commit != unknown && -n $(git status --porcelain) ]]; then
        commit+=-modified
    fi
    epoch=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
    runtime_base=${RUNTIME_BASE:-scratch}
    build_base=${BUILD_BASE:-}
    if [[ -z $build_base ]]; then
        build_local_base
        build_base=$local_base
    fi
    build_target fleet promemoria "${options[@]}"
    # The same build stage: compiled once.
    build_target sandbox promemoria-sandbox
}

main "$@"
