#!/usr/bin/env bash
# Installs what the demo, the tests, the images and the Kubernetes check need and this machine lacks.
#
#   deploy/setup.sh [demo|test|docs|images|k8s|dashboards|runbooks|fuzz]...     default: demo
#   deploy/setup.sh --check [demo|test|docs|images|k8s|dashboards|runbooks|fuzz]...
#
# demo    C toolchain and make; RabbitMQ and Redis, unless endpoints or Docker images are given
# test    C toolchain and make; RabbitMQ, Redis, Chromium for the inbox page, and Python with pika for its example
# docs    Python with venv; what the client examples in Java, PHP and TypeScript are compiled and run with
# images  debootstrap and Python, for tests/images/build.sh and deploy/images/build.sh
# k8s     promtool, amtool, and Python with venv, for k8s/check (its other tools come by pip)
# dashboards  Prometheus, its exporter for Redis, Chromium and Python, for deploy/grafana/look
# runbooks  curl and openssl, which the runbooks' commands take, for docs/check/runbooks.py
# fuzz    C++ compiler: libFuzzer comes as source
#
# --check installs nothing: it prints what is missing and exits 1 if something is.
# Where nothing is missing, nothing happens. No system-wide broker is started or enabled: the fleet's
# brokers are always private instances.
set -euo pipefail

# An ordinary user's PATH leaves out the folders where Debian puts servers.
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

readonly POLICY=/usr/sbin/policy-rc.d

say() { printf 'setup: %s\n' "$*"; }
fail() {
    printf 'setup: %s\n' "$*" >&2
    exit 1
}

has_command() { command -v "$1" >/dev/null 2>&1; }
has_rabbitmq() { has_command rabbitmq-server || [[ -x /usr/lib/rabbitmq/bin/rabbitmq-server ]]; }
has_c_toolchain() { has_command cc && [[ -e /usr/include/stdlib.h ]]; }
has_venv() { has_command python3 && python3 -c 'import venv, ensurepip' 2>/dev/null; }
# Debian's own Python: another one does not see Debian's pika.
has_pika() { [[ -x /usr/bin/python3 ]] && /usr/bin/python3 -c 'import pika' 2>/dev/null; }
has_file() { [[ -e "$1" ]]; }
has_font() { [[ -n "$(find /usr/share/fonts -name '*.ttf' -print -quit 2>/dev/null)" ]]; }

# True where the fixture of tests/src/brokers finds its brokers without Debian's packages.
brokers_are_given() {
    if [[ -n "${PROMEMORIA_TEST_AMQP_URL:-}" && -n "${PROMEMORIA_TEST_REDIS_URL:-}" ]]; then
        return 0
    fi
    has_command docker || return 1
    docker image inspect "${PROMEMORIA_RABBITMQ_IMAGE:-promemoria/rabbitmq:debian12}" \
        "${PROMEMORIA_REDIS_IMAGE:-promemoria/redis:debian12}" >/dev/null 2>&1
}

missing=()
need() { # PACKAGE TEST [ARGUMENT]
    local package=$1
    shift
    "$@" || missing+=("$package")
}

need_build() {
    # The crypto of TLS (crate `ring`) has parts in C.
    need gcc has_c_toolchain
    need libc6-dev has_c_toolchain
    need make has_command make
}

need_brokers() {
    need rabbitmq-server has_rabbitmq
    need redis-server has_command redis-server
}

need_all() {
    local purpose
    for purpose in "$@"; do
        case "$purpose" in
        demo)
            need_build
            brokers_are_given || need_brokers
            ;;
        test)
            need_build
            need_brokers
            need chromium has_command chromium
            need fonts-dejavu-core has_font
            need python3-pika has_pika
            ;;
        docs)
            need python3-venv has_venv
            need default-jdk-headless has_command javac
            need librabbitmq-client-java has_file /usr/share/java/amqp-client.jar
            need libjackson2-databind-java has_file /usr/share/java/jackson-databind.jar
            need php-cli has_command php
            need php-amqplib has_file /usr/share/php/PhpAmqpLib/autoload.php
            need node-typescript has_command tsc
            ;;
        images)
            need debootstrap has_command debootstrap
            need python3 has_command python3
            ;;
        k8s)
            need make has_command make
            need prometheus has_command promtool
            need prometheus-alertmanager has_command amtool
            need python3-venv has_venv
            ;;
        dashboards)
            need_build
            need python3 has_command python3
            need prometheus has_command prometheus
            need prometheus-redis-exporter has_command prometheus-redis-exporter
            need chromium has_command chromium
            need fonts-dejavu-core has_font
            ;;
        runbooks)
            need curl has_command curl
            need openssl has_command openssl
            ;;
        fuzz)
            need_build
            need g++ has_command g++
            ;;
        *) fail "unknown purpose \"$purpose\": demo, test, docs, images, k8s, dashboards, runbooks or fuzz" ;;
        esac
    done
}

as_root() {
    if [[ $EUID -eq 0 ]]; then
        "$@"
    elif has_command sudo; then
        sudo "$@"
    else
        fail "installing needs root and there is no sudo: run as root: apt-get install ${missing[*]}"
    fi
}

# Debian starts a service as it installs it, unless this script says 101 ("forbidden by policy").
# A policy that is there already is somebody's decision and stays.
guard_services() {
    [[ -e $POLICY ]] && return 0
    trap remove_guard EXIT
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$POLICY" >/dev/null
    as_root chmod 755 "$POLICY"
}

remove_guard() { as_root rm -f "$POLICY"; }

# The package also enables its service for the next boot. Only what this run installed is touched.
disable_services() {
    has_command systemctl || return 0
    local package unit
    for package in "$@"; do
        case "$package" in
        rabbitmq-server)
            unit="rabbitmq-server.service"
            [[ $had_epmd == yes ]] || unit+=" epmd.service epmd.socket"
            ;;
        redis-server) unit="redis-server.service" ;;
        prometheus) unit="prometheus.service" ;;
        prometheus-redis-exporter) unit="prometheus-redis-exporter.service" ;;
        prometheus-alertmanager) unit="prometheus-alertmanager.service" ;;
        *) continue ;;
        esac
        # A unit that this release of the package does not have is nothing to disable.
        # shellcheck disable=SC2086 # several units in one word
        as_root systemctl disable $unit >/dev/null 2>&1 || true
    done
}

install_missing() {
    has_command apt-get || fail "no apt-get here: install by other means: ${missing[*]}"
    say "installing with apt-get: ${missing[*]}"
    # Erlang's port mapper may serve another program; it is ours to disable only if it comes now.
    local had_epmd=no
    has_command epmd && had_epmd=yes
    guard_services
    as_root apt-get -o DPkg::Lock::Timeout=300 -qq update
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -qq -y \
        --no-install-recommends install "${missing[@]}" >/dev/null
    disable_services "${missing[@]}"
    say "installed: $(dpkg-query -W -f '${Package} ${Version}, ' "${missing[@]}" | sed 's/, $//')"
}

main() {
    local check=no
    if [[ "${1:-}" == --check ]]; then
        check=yes
        shift
    fi
    need_all "${@:-demo}"
    if [[ ${#missing[@]} -eq 0 ]]; then
        return 0
    fi
    mapfile -t missing < <(printf '%s\n' "${missing[@]}" | sort -u)
    if [[ $check == yes ]]; then
        say "missing: ${missing[*]}"
        return 1
    fi
    install_missing
}

main "$@"
