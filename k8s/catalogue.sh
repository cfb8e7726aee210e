#!/usr/bin/env bash
# Writes the lists of the catalogue's files that Kubernetes needs, or checks that they are up to date.
#
#   k8s/catalogue.sh --write | --check
#
# shared/kustomization.yaml       one ConfigMap a service and one for what they share: kustomize reads only
#                                 files below a kustomization's own folder, and knows no patterns
# k8s/base/catalogue-volume.yaml  puts them together again as one folder tree: a ConfigMap has no folders
# k8s/components/operator/catalogue-volume.yaml   the same for the operators' pod
#
# Several ConfigMaps, because `kubectl apply` keeps a copy of each in an annotation of at most 256 KiB.
set -euo pipefail
export LC_ALL=C
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly VOLUMES="k8s/base/catalogue-volume.yaml k8s/components/operator/catalogue-volume.yaml"
readonly HEAD="# Written by k8s/catalogue.sh --write."

# Files of one ConfigMap, relative to shared/catalogue.
files_of() { # FOLDER, "." for what the services share
    if [[ $1 == . ]]; then
        (cd shared/catalogue && find . -maxdepth 1 -type f ! -name '.*' ! -name README.md)
    else
        (cd shared/catalogue && find "./$1" -type f ! -name '.*' ! -name README.md)
    fi | sed 's|^\./||' | sort
}

map_of() { if [[ $1 == . ]]; then echo promemoria-catalogue; else echo "promemoria-catalogue-$1"; fi; }

# A key must not hold a slash. Two dots in a row would not do either, and no file name begins with one.
key_of() { echo "${1//\//.}"; }

folders() {
    echo .
    find shared/catalogue -mindepth 1 -maxdepth 1 -type d ! -name '.*' -printf '%f\n' | sort
}

generator() {
    printf '%s\n' "$HEAD" "apiVersion: kustomize.config.k8s.io/v1beta1" "kind: Kustomization" "configMapGenerator:"
    local folder file
    for folder in $(folders); do
        printf '%s\n' "  - name: $(map_of "$folder")" "    files:"
        for file in $(files_of "$folder"); do
            printf '      - %s=catalogue/%s\n' "$(key_of "$file")" "$file"
        done
    done
}

volume() {
    printf '%s\n' "$HEAD" "apiVersion: apps/v1" "kind: Deployment" "metadata:" "  name: any" "spec:" \
        "  template:" "    spec:" "      volumes:" "        - name: catalogue" "          projected:" \
        "            sources:"
    local folder file
    for folder in $(folders); do
        printf '%s\n' "              - configMap:" "                  name: $(map_of "$folder")" \
            "                  items:"
        for file in $(files_of "$folder"); do
            printf '                    - { key: %s, path: %s }\n' "$(key_of "$file")" "$file"
        done
    done
}

case "${1:-}" in
--write)
    generator >shared/kustomization.yaml
    for file in $VOLUMES; do volume >"$file"; done
    ;;
--check)
    old=0
    diff <(generator) shared/kustomization.yaml || old=1
    for file in $VOLUMES; do diff <(volume) "$file" || old=1; done
    if [[ $old -ne 0 ]]; then
        echo "the catalogue's files changed: run k8s/catalogue.sh --write" >&2
        exit 1
    fi
    ;;
*)
    sed -n '2,4p' "$0" >&2
    exit 2
    ;;
esac
