#!/usr/bin/env bash
# Runs the images as the manifests say and stops each service under load: nothing may be lost, nothing sent twice.
#
#   tests/images/drain.sh [EVENTS]     default: 300
#
# deploy/compose.yaml with the broker images of this folder, confined. While the events of EVENTS cases go through, dispatcher, renderer and scheduler are stopped by
# SIGTERM in turn and started again. At the end IO's stand-in must hold one message for each case, and each service
# must have ended by itself with exit code 0.
#
# Needs Docker, Compose, Python 3 and curl; the images of `make images` and of tests/images/build.sh debian12.
# PROMEMORIA_IMAGE, PROMEMORIA_SANDBOX_IMAGE, RABBITMQ_IMAGE and REDIS_IMAGE name others.
set -euo pipefail

readonly name=drain events=${1:-300}
# shellcheck source=tests/images/trial.sh
source "$(dirname "${BASH_SOURCE[0]}")/trial.sh"

stop_and_start() { # SERVICE
    local id
    id=$(container "$1")
    at_least "$events" && fail "$1 is not under load any more: give more events"
    stop "$1" "$id"
    docker start "$id" >/dev/null
}

main() {
    begin
    publish_all "$work/events.jsonl"
    local service part=0
    for service in dispatcher renderer scheduler; do
        part=$((part + 1))
        wait_for "a part of the messages" "$deadline" at_least $((events * part / 5))
        stop_and_start "$service"
    done
    check_all
}

main
