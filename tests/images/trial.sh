# shellcheck shell=bash
# The fleet of deploy/compose.yaml under the load of many cases: what drain.sh and rollout.sh have in common. Sourced
# with `name` set to the script's, and `events` to the number of cases.
#
# The broker images of this folder; numeric user, read-only root, no capability, no new privileges, 256 MB.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
readonly root
# Longest time for all messages to arrive: IO's budget lets 15 a second through, and each stop costs some.
readonly deadline=$((120 + events / 10))

export RABBITMQ_IMAGE=${RABBITMQ_IMAGE:-promemoria/rabbitmq:debian12}
export REDIS_IMAGE=${REDIS_IMAGE:-promemoria/redis:debian12}
# Ports that another run of the same file does not have.
export AMQP_PORT=0 RABBITMQ_PAGE_PORT=0 SANDBOX_PORT=0
readonly project="promemoria-$name-$$"

say() { printf '%s: %s\n' "$name" "$*"; }
fail() {
    printf '%s: %s\n' "$name" "$*" >&2
    exit 1
}

compose_command() {
    if docker compose version >/dev/null 2>&1; then
        docker compose "$@"
    else
        docker-compose "$@"
    fi
}
compose() { compose_command --project-name "$project" --file "$root/deploy/compose.yaml" "$@"; }

end() {
    local code=$?
    rm -rf "$work"
    if [[ $code -ne 0 ]]; then
        compose logs --no-color --tail 15 scheduler renderer dispatcher >&2 || true
    fi
    compose down --volumes --timeout 5 >/dev/null 2>&1 || true
    exit "$code"
}

# One case each, of one person each: `domanda.protocollata` leads to one message at once, and its text holds the
# protocol number, so that a message sent twice is seen. The check letter is the fiscal code's own.
write_events() {
    python3 - "$events" <<'PYTHON'
import json, sys
from datetime import datetime, timezone

ODD = dict(zip("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", [1, 0, 5, 7, 9, 13, 15, 17, 19, 21] + [
    1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23]))
EVEN = dict(zip("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", [*range(10), *range(26)]))


def fiscal_code(number):
    name = "".join(chr(ord("A") + number // 26**place % 26) for place in range(6)) + "80A01H501"
    return name + chr(ord("A") + sum((EVEN if i % 2 else ODD)[sign] for i, sign in enumerate(name)) % 26)


now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
for number in range(int(sys.argv[1])):
    print(json.dumps({
        "specversion": "1.0", "id": f"case-{number}", "source": "urn:promemoria:trial", "type": "domanda.protocollata",
        "subject": f"D{number:07}", "time": now, "ente": "borgochiaro", "servizio": "alloggi-sociali",
        "data": {"codice_fiscale": fiscal_code(number), "bando": "B27", "numero_protocollo": f"TRIAL/{number:07}",
                 "url_domanda": f"https://casa.example.it/domande/{number}"}}))
PYTHON
}

sandbox_count() { # FIELD
    curl --silent --fail --max-time 5 "http://$sandbox/sandbox/count" |
        python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1" 2>/dev/null || echo 0
}

wait_for() { # WHAT SECONDS COMMAND...
    local what=$1 end=$((SECONDS + $2))
    shift 2
    until "$@"; do
        [[ $SECONDS -lt $end ]] || fail "$what: not in time"
        sleep 0.5
    done
}

container() { compose ps --quiet "$1"; }
at_least() { [[ $(sandbox_count stored) -ge $1 ]]; }
publish() { # FILE
    compose run --rm -T cli promemoria publish - <"$1" >"$work/publish.log" 2>&1
}

# What Docker itself says of the confinement; the manifests promise the same.
check_confined() { # SERVICE
    local said wanted='65532:65532 true [ALL] 268435456'
    said=$(docker inspect --format \
        '{{.Config.User}} {{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} {{.HostConfig.Memory}}' "$(container "$1")")
    [[ $said == "$wanted" ]] || fail "$1 runs as \"$said\", not as \"$wanted\""
}


# The fleet, ready to be published to; `work` is a folder for its logs.
begin() {
    work=$(mktemp -d)
    trap 'end' EXIT
    write_events >"$work/events.jsonl"
    compose up --detach scheduler renderer dispatcher sandbox >"$work/up.log" 2>&1 || fail "$(tail -n 5 "$work/up.log")"
    sandbox=$(compose port sandbox 8099)
    local service
    for service in scheduler renderer dispatcher; do
        check_confined "$service"
    done
}

# The topology is there once the broker has read it; publishing before that is refused.
publish_all() { # FILE
    wait_for "publishing" 90 publish "$1"
    say "$(tail -n 1 "$work/publish.log")"
}

# Ends a container by SIGTERM, within the manifests' 35 s; one that is killed after that ends with 137.
stop() { # SERVICE ID
    local began=$SECONDS code
    docker stop --time 35 "$2" >/dev/null
    code=$(docker inspect --format '{{.State.ExitCode}}' "$2")
    say "$1: stopped with $(sandbox_count stored) of $events messages at IO; exit code $code after $((SECONDS - began)) s"
    [[ $code == 0 ]] || fail "$1 did not end by itself"
}

# One message for each case, none twice.
check_all() {
    wait_for "every message" "$deadline" at_least "$events"
    [[ $(sandbox_count duplicates) == 0 ]] || fail "$(sandbox_count duplicates) messages were sent twice"
    [[ $(sandbox_count stored) == "$events" ]] || fail "$(sandbox_count stored) messages for $events events"
    say "every one of $events messages is at IO, none twice"
}
