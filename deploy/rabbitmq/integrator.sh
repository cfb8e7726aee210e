#!/usr/bin/env bash
# Prints the definitions of an ente's two users, for `rabbitmqctl import_definitions`.
#
#   deploy/rabbitmq/integrator.sh ENTE [VHOST] > ENTE.json
#
# The users have no password: set one with `rabbitmqctl change_password ENTE.events`, and of ENTE.outcomes.
set -euo pipefail

ente=${1:?usage: integrator.sh ENTE [VHOST]}
vhost=${2:-/}
# The form of an ente's id: the patterns of its permissions are made from it.
if [[ ! $ente =~ ^[a-z0-9](-?[a-z0-9]){0,38}$ ]]; then
    echo "integrator: \"$ente\" is not an ente's id" >&2
    exit 2
fi
if [[ ! $vhost =~ ^[A-Za-z0-9/._-]+$ ]]; then
    echo "integrator: the virtual host's name is not plain" >&2
    exit 2
fi
sed -e "s/ENTE/$ente/g" -e "s|\"vhost\": \"/\"|\"vhost\": \"$vhost\"|" "$(dirname "${BASH_SOURCE[0]}")/integrator.json"
