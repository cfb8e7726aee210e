#!/usr/bin/env bash
# Rolls the images out under load, confined as the manifests say: nothing may be lost, nothing sent twice. Before that,
# the three idle services may have at most 60 MiB of memory in all.
#
#   tests/images/rollout.sh [EVENTS]     default: 900
#
# Under load each service gets a second replica; once that one is ready, the first is stopped by SIGTERM: dispatcher,
# renderer, scheduler, as docs/upgrades.md has it. Of the events of EVENTS cases a sixth is published before each start
# and another before each SIGTERM. At the end IO's stand-in must hold one
# message for each case, and each replaced replica must have ended by itself with exit code 0.
#
# Memory is what Docker counts for a container: its cgroup's, less the file pages that nothing has used lately.
#
# Needs Docker, Compose, Python 3 and curl; the images of `make images` and of tests/images/build.sh debian12.
# PROMEMORIA_IMAGE, PROMEMORIA_SANDBOX_IMAGE, RABBITMQ_IMAGE and REDIS_IMAGE name others; PROMEMORIA_NEXT_IMAGE is the
# image that is rolled out, by default the same. IDLE_LIMIT is another limit, in MiB.
set -euo pipefail

readonly name=rollout events=${1:-900}
# shellcheck source=tests/images/trial.sh
source "$(dirname "${BASH_SOURCE[0]}")/trial.sh"

# Most memory of the three idle services together, MiB.
readonly idle_limit=${IDLE_LIMIT:-60}

is_ready() { # SERVICE ID
    local -A ports=([scheduler]=9101 [renderer]=9102 [dispatcher]=9103)
    local address
    address=$(docker inspect --format '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' "$2")
    curl --silent --fail --max-time 5 --output /dev/null "http://$address:${ports[$1]}/readyz"
}

check_idle_memory() {
    local service ids=()
    for service in scheduler renderer dispatcher; do
        wait_for "$service to be ready" 90 is_ready "$service" "$(container "$service")"
        ids+=("$(container "$service")")
    done
    docker stats --no-stream --format '{{.Name}} {{.MemUsage}}' "${ids[@]}" | python3 -c '
import re, sys
units = {"KiB": 1 / 1024, "MiB": 1, "GiB": 1024}
lines = [re.match(r"(\S+) ([\d.]+)(\w+)", line).groups() for line in sys.stdin]
used = [float(number) * units[unit] for _, number, unit in lines]
parts = " + ".join(f"{each:.1f}" for each in used)
print(f"idle: {parts} = {sum(used):.1f} MiB, at most {sys.argv[1]}")
sys.exit(len(used) != 3 or sum(used) > float(sys.argv[1]))' "$idle_limit" >"$work/idle" ||
        fail "$(cat "$work/idle")"
    say "$(cat "$work/idle")"
}

replace() { # SERVICE FILE FILE
    local old new
    old=$(container "$1")
    publish_all "$2"
    PROMEMORIA_IMAGE=${PROMEMORIA_NEXT_IMAGE:-${PROMEMORIA_IMAGE:-promemoria:0.1.0}} \
        compose up --detach --no-recreate --scale "$1=2" "$1" >>"$work/up.log" 2>&1 || fail "$(tail -n 5 "$work/up.log")"
    new=$(container "$1" | grep --invert-match "$old") || fail "no second $1"
    wait_for "the second $1 to be ready" 90 is_ready "$1" "$new"
    publish_all "$3"
    published=$((published + events / 3))
    at_least "$published" && fail "$1 is not under load any more: give more events"
    stop "$1" "$old"
    docker rm "$old" >/dev/null
}

main() {
    begin
    check_idle_memory
    split --number=l/6 --numeric-suffixes=1 --suffix-length=1 "$work/events.jsonl" "$work/part-"
    published=0
    replace dispatcher "$work/part-1" "$work/part-2"
    replace renderer "$work/part-3" "$work/part-4"
    replace scheduler "$work/part-5" "$work/part-6"
    check_all
}

main
