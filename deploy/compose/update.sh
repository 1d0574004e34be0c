#!/bin/sh
# Brings the running stack to the image and the settings that it should have now, one instance after the other: the others
# serve meanwhile. `docker compose up` alone would stop all three at once. COMPOSE names another command than `docker compose`.
set -eu
cd "$(dirname "$0")/../.."

for instance in footfall-1 footfall-2 footfall-3; do
    ${COMPOSE:-docker compose} up --detach --no-deps --no-build --wait --wait-timeout 120 "$@" "$instance"
done
