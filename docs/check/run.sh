#!/usr/bin/env bash
# `make docs-check`: the AsyncAPI document, the JSON Schemas, the example events and the client examples. Every step
# runs, any fault fails; a tool that cannot be had is a fault.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

readonly OUT=target/docs-check EXAMPLES=docs/examples WANTED=docs/check/requirements.txt
readonly VENV=$OUT/venv JARS=/usr/share/java
export PYTHONDONTWRITEBYTECODE=1

failed=0
step() { # NAME COMMAND…
    local name=$1 output
    shift
    if output=$("$@" 2>&1); then
        printf '  ok    %s\n' "$name"
    else
        printf '  FAIL  %s\n%s\n' "$name" "$output"
        failed=1
    fi
}

# Debian's by apt-get, the others by pip into a folder of their own.
tools() {
    deploy/setup.sh test docs || return 1
    cmp --silent "$WANTED" "$VENV/installed" && return 0
    rm -rf "$VENV"
    python3 -m venv "$VENV" || return 1
    if ! "$VENV/bin/pip" install --quiet --disable-pip-version-check --no-deps --requirement "$WANTED"; then
        echo "docs-check: the tools cannot be installed by pip: is a package index in reach?" >&2
        return 1
    fi
    cp "$WANTED" "$VENV/installed"
}

contract() { "$VENV/bin/python" docs/check/contract.py docs deploy/rabbitmq/definitions.json; }

java() {
    local path="$JARS/amqp-client.jar:$JARS/jackson-core.jar:$JARS/jackson-databind.jar:$JARS/jackson-annotations.jar"
    javac -Xlint:all -Werror -cp "$path" -d "$OUT/java" "$EXAMPLES"/java/*.java
}

php_syntax() {
    local file
    for file in "$EXAMPLES"/php/*.php; do php -l "$file" || return 1; done
}

# The same test as `make test` runs with Python alone.
on_the_fleet() {
    PROMEMORIA_EXAMPLES=python,java,php cargo test --quiet --locked --package tests --test fleet the_client_examples
}

tools || exit 1
step "AsyncAPI document, schemas, example events" contract
step "Java compiles" java
step "PHP parses" php_syntax
step "TypeScript's types" tsc -p docs/check/typescript
step "Python, Java and PHP publish and listen on the fleet" on_the_fleet
[[ $failed -eq 0 ]] || echo "docs-check: faults found" >&2
exit "$failed"
