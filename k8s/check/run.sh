#!/usr/bin/env bash
# `make k8s-check`: manifests, Dockerfiles, alerts, dashboards and runbooks, by the projects' own tools where there
# is one, by ours for how the parts fit. Needs no cluster. Stops at nothing: every step runs, any fault fails.
#
#   K8S_CRDS=FOLDER  CustomResourceDefinitions to check the operators' kinds against, in place of our own schemas
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

# The newest Kubernetes that has schemas here, and the oldest that the manual promises.
readonly VERSIONS=(1.37 1.31)
readonly BIN=target/k8s-check/venv/bin RENDERED=target/k8s-check/rendered
export PYTHONDONTWRITEBYTECODE=1

failed=0
step() { # NAME COMMAND…
    local name=$1 begun=$EPOCHREALTIME output
    shift
    if output=$("$@" 2>&1); then
        printf '  ok    %-42s %5.1f s\n' "$name" "$(seconds_since "$begun")"
    else
        printf '  FAIL  %s\n%s\n' "$name" "$output"
        failed=1
    fi
}
seconds_since() { awk -v a="$1" -v b="$EPOCHREALTIME" 'BEGIN { print b - a }'; }

python() { "$BIN/python" "k8s/check/$1.py" "${@:2}"; }

built_in() { # VERSION: every built-in kind, unknown fields refused
    local file
    for file in "$RENDERED"/*.yaml k8s/examples/*.yaml; do
        # Kinds that Kubernetes does not know are only warned of: schemas.py has those.
        "$BIN/kubernetes-validate" --kubernetes-version "$1" --strict --quiet "$file" || return 1
    done
}

dockerfiles() {
    local files
    mapfile -t files < <(git ls-files --cached --others --exclude-standard '*Dockerfile*')
    [[ ${#files[@]} -eq 0 ]] || "$BIN/hadolint" --no-color --config k8s/check/hadolint.yaml "${files[@]}"
}

misconfiguration() {
    "$BIN/trivy" config --quiet --skip-check-update --skip-version-check --disable-telemetry --exit-code 1 \
        --severity MEDIUM,HIGH,CRITICAL --ignorefile k8s/check/trivyignore.yaml "$1"
}

yaml_style() {
    git ls-files -z --cached --others --exclude-standard '*.yaml' '*.yml' |
        xargs -0 "$BIN/yamllint" --strict -c k8s/check/yamllint.yaml
}

# The same packages as the end-to-end tests build, so that nothing is built twice.
binaries() { cargo build --quiet --locked -p scheduler -p renderer -p dispatcher -p sandbox -p promemoria; }

k8s/check/tools.sh || exit 1
step "the catalogue's ConfigMaps are up to date" k8s/catalogue.sh --check
step "generated manifests are up to date" python generated --check
step "overlays render" python project
for version in "${VERSIONS[@]}"; do
    step "built-in kinds, Kubernetes $version" built_in "$version"
done
step "operators' kinds, by ${K8S_CRDS:-our own schemas}" python schemas
step "the parts fit one another" python manifests
step "the manual's own steps" python walk
step "YAML style" yaml_style
step "Dockerfiles" dockerfiles
step "misconfigurations" misconfiguration "$RENDERED"
step "misconfigurations of the examples" misconfiguration k8s/examples
step "rules" promtool check rules --lint=all --lint-fatal deploy/prometheus/rules/*.yml
step "rules, unit tests" promtool test rules deploy/prometheus/tests/*.yml
step "scrape configuration" promtool check config --lint=all --lint-fatal deploy/prometheus/prometheus.yml
step "Compose file" python compose
step "notification routes" amtool check-config deploy/alertmanager/alertmanager.yml
step "alerts have tests and runbooks" python alerts
step "dashboards" python dashboards
step "expressions: metrics and labels exist" python expressions
step "the services build" binaries
step "the program takes every pod's settings" python settings
step "what the services really export" python scrape
step "the checks find planted faults" python selftest
step "the checks of the manual and of settings do" python selftest_given
[[ $failed -eq 0 ]] || echo "k8s-check: faults found" >&2
exit "$failed"
