#!/usr/bin/env bash
# Prints the access list of deploy/redis/users.acl with the users switched on.
#
#   deploy/redis/acl.sh FOLDER > users.acl
#
# FOLDER holds one file a user, named after it (for example promemoria-scheduler), with its password.
# The list holds the SHA-256 of each password and no password. A user without a file stays off.
# Give it to Redis as `aclfile`; replicas, and every node of a cluster, need the same one.
set -euo pipefail

readonly ACL="$(dirname "${BASH_SOURCE[0]}")/users.acl"

folder=${1:?usage: acl.sh FOLDER}
while read -r word name state rules; do
    if [[ $state == off && -s "$folder/$name" ]]; then
        # Trailing white space is no part of a password, as in the fleet's own secret files.
        password=$(<"$folder/$name")
        password=${password%"${password##*[![:space:]]}"}
        state="on #$(printf '%s' "$password" | sha256sum | cut -d' ' -f1)"
    fi
    echo "$word $name $state${rules:+ $rules}"
done <"$ACL"
