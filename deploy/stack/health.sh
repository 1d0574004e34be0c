#!/bin/sh
# Asks every running container for its health, once a second, until it is ended: what a timer of systemd would do.
set -eu
. deploy/stack/engine.sh

while :; do
    for container in $(podman ps --quiet); do
        podman healthcheck run "$container" >/dev/null 2>&1 || true # what it says is kept with the container
    done
    sleep 1
done
