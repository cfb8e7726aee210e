#!/usr/bin/env bash
# Builds the broker images of the integration tests from Debian's packages; no image registry is needed.
#
#   tests/images/build.sh [--force] [--base] [debian12|debian13|all]     default: all
#
#   debian12   promemoria/rabbitmq:debian12 (3.10), promemoria/redis:debian12 (7.0)
#   debian13   promemoria/rabbitmq:debian13 (4.0),  promemoria/redis:debian13 (8.0),
#              promemoria/valkey:debian13 (8.1)
#
# An image whose recipe has not changed is left as it is; --force builds it again. --base stops after the bare
# Debian below them, promemoria/base:debian12 or :debian13.
#
# Needs Docker, debootstrap (deploy/setup.sh images) and root, or sudo.
# Packages come from the Debian mirror of this machine's own apt configuration, with its proxy.
# PROMEMORIA_DEBIAN_MIRROR names another one; PROMEMORIA_DEBIAN_SECURITY_MIRROR likewise.
set -euo pipefail

PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly here
readonly cache="$here/.cache"
readonly host_roots=/etc/ssl/certs/ca-certificates.crt

say() { printf 'images: %s\n' "$*"; }
fail() {
    printf 'images: %s\n' "$*" >&2
    exit 1
}

as_root() {
    if [[ $EUID -eq 0 ]]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        fail "debootstrap needs root and there is no sudo"
    fi
}

codename() {
    case "$1" in
    debian12) echo bookworm ;;
    debian13) echo trixie ;;
    *) fail "unknown generation \"$1\": debian12, debian13 or all" ;;
    esac
}

images_of() {
    case "$1" in
    debian12) echo rabbitmq redis ;;
    debian13) echo rabbitmq redis valkey ;;
    esac
}

# The archive that serves this machine's own release; $1 is "" for the main archive or "-security".
host_archive() {
    local id='' VERSION_CODENAME=''
    # shellcheck source=/dev/null
    id=$(. /etc/os-release && echo "$ID $VERSION_CODENAME")
    [[ ${id%% *} == debian ]] || return 0
    apt-get indextargets --format '$(RELEASE) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
        awk -v release="${id##* }$1" '$1 == release && $2 == "main" && !seen++ { sub("/$", "", $3); print $3 }'
}

apt_setting() { apt-config dump --format '%v%n' "$1" 2>/dev/null | head -n 1; }

find_mirrors() {
    mirror=${PROMEMORIA_DEBIAN_MIRROR:-$(host_archive "")}
    [[ -n $mirror ]] || fail "no Debian mirror in this machine's apt configuration: set PROMEMORIA_DEBIAN_MIRROR"
    security=${PROMEMORIA_DEBIAN_SECURITY_MIRROR:-}
    if [[ -z $security && -z ${PROMEMORIA_DEBIAN_MIRROR:-} ]]; then
        security=$(host_archive -security)
    fi
    http_proxy=${http_proxy:-$(apt_setting Acquire::http::Proxy)}
    https_proxy=${https_proxy:-$(apt_setting Acquire::https::Proxy)}
    export http_proxy https_proxy
}

# What lets apt reach the mirror from inside a base: sources, the host's settings on dates and retries,
# and, for an https mirror, the host's trusted roots. A proxy is never written: it goes by environment.
configure_apt() { # ROOT SUITE
    local root=$1 suite=$2
    {
        echo "deb $mirror $suite main"
        [[ -z $security ]] || echo "deb $security $suite-security main"
    } | as_root tee "$root/etc/apt/sources.list" >/dev/null
    {
        echo 'Acquire::Languages "none";'
        apt-config dump | grep -E '^Acquire::(Check-Valid-Until|Check-Date|Retries) ' || true
    } | as_root tee "$root/etc/apt/apt.conf.d/90host" >/dev/null
    if [[ "$mirror $security" == *https:* ]]; then
        [[ -e $host_roots ]] || fail "the mirror needs https and there is no $host_roots"
        as_root install -D -m 644 "$host_roots" "$root$host_roots"
    fi
    # No service starts while a package is installed into an image.
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$root/usr/sbin/policy-rc.d" >/dev/null
    as_root chmod 755 "$root/usr/sbin/policy-rc.d"
    as_root rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/* "$root"/usr/share/doc/* \
        "$root"/usr/share/man/* "$root"/usr/share/locale/* "$root"/var/log/*
}

image_recipe() { docker image inspect -f '{{index .Config.Labels "promemoria.recipe"}}' "$1" 2>/dev/null || true; }

build_base() { # GENERATION
    local generation=$1 suite tag="promemoria/base:$1" root recipe
    suite=$(codename "$generation")
    recipe=$(printf '%s\n' "$suite" "$mirror" "$security" | cat - "$here/build.sh" | sha256sum | cut -c1-16)
    if [[ $force == no && $(image_recipe "$tag") == "$recipe" ]]; then
        return 0
    fi
    command -v debootstrap >/dev/null || fail "debootstrap is missing: run deploy/setup.sh images"
    root="$cache/$generation"
    as_root rm -rf "$root"
    mkdir -p "$cache"
    say "$tag: debootstrap $suite into ${root#"$PWD"/}"
    as_root env http_proxy="$http_proxy" https_proxy="$https_proxy" \
        debootstrap --variant=minbase "$suite" "$root" "$mirror" >"$cache/$generation.log" 2>&1 ||
        fail "debootstrap failed; its last lines: $(tail -n 5 "$cache/$generation.log")"
    configure_apt "$root" "$suite"
    as_root tar -C "$root" -c --one-file-system . |
        docker import -c "LABEL promemoria.recipe=$recipe" - "$tag" >/dev/null
    as_root rm -rf "$root"
}

build_image() { # KIND GENERATION
    local kind=$1 generation=$2 tag="promemoria/$1:$2" recipe
    recipe=$( (image_recipe "promemoria/base:$generation" && cat "$here/$kind/Dockerfile") | sha256sum | cut -c1-16)
    if [[ $force == no && $(image_recipe "$tag") == "$recipe" ]]; then
        say "$tag: already there"
        return 0
    fi
    say "$tag: building"
    # The host's network, so that a resolver or proxy on this machine's loopback works for apt too.
    # Docker keeps the proxy arguments out of the image and of its history.
    docker build --quiet --network host --label "promemoria.recipe=$recipe" --tag "$tag" \
        --build-arg "BASE=promemoria/base:$generation" --build-arg http_proxy --build-arg https_proxy \
        "$here/$kind" >"$cache/$kind-$generation.log" 2>&1 ||
        fail "docker build failed; its last lines: $(tail -n 15 "$cache/$kind-$generation.log")"
}

report() { # KIND GENERATION
    local tag="promemoria/$1:$2" version size
    version=$(docker run --rm --network none --entrypoint dpkg-query "$tag" -W -f '${Version}' "$1-server")
    size=$(docker image inspect -f '{{.Size}}' "$tag")
    say "$tag: Debian package $version, $((size / 1000000)) MB"
}

main() {
    force=no
    local base_only=no
    while [[ "${1:-}" == --* ]]; do
        case "$1" in
        --force) force=yes ;;
        --base) base_only=yes ;;
        *) fail "unknown option \"$1\"" ;;
        esac
        shift
    done
    local generations=("${1:-all}") generation kind
    [[ ${generations[0]} == all ]] && generations=(debian12 debian13)
    codename "${generations[0]}" >/dev/null
    command -v docker >/dev/null || fail "docker is missing"
    docker version >/dev/null 2>&1 || fail "the docker daemon does not answer"
    find_mirrors
    for generation in "${generations[@]}"; do
        build_base "$generation"
        [[ $base_only == no ]] || continue
        for kind in $(images_of "$generation"); do
            build_image "$kind" "$generation"
            report "$kind" "$generation"
        done
    done
}

main "$@"
