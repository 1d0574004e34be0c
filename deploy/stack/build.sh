#!/bin/sh
# Builds deploy/Dockerfile into the image `footfall`, as `docker build --file deploy/Dockerfile --tag footfall .` does, without
# Docker's daemon. What is given goes to the build: --build-arg EXTRAS=sentry. Run as root in the repository's root.
set -eu
deploy/stack/prepare.sh
. deploy/stack/engine.sh

authorities=/etc/ssl/certs/ca-certificates.crt
if [ -s $authorities ]; then # of this machine: mounted while commands run, and in no layer
    set -- --volume $authorities:/run/machine-authorities.pem:ro "$@"
fi
# The format of Docker, for that of the OCI has no health check.
buildah build --quiet --isolation chroot --format docker --layers --file deploy/Dockerfile --tag footfall:latest "$@" .
podman image prune --force >/dev/null # the former image of this name; layers in use stay
podman image inspect --format 'footfall:latest takes {{.Size}} bytes' footfall:latest
