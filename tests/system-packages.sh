#!/bin/sh
# Sees to the programs that tests and benchmarks start and pip can't install. Names them as arguments; without any, what the
# tests need. Each is in the Debian package of its own name. As root on a machine with apt-get it installs what is missing;
# otherwise it says what to install, and fails.
set -eu

[ $# -gt 0 ] || set -- redis-server nginx caddy chromium curl sqlite3
PATH=$PATH:/usr/sbin:/sbin # where nginx lies, outside the PATH of who is not root

missing=
for program; do
    command -v "$program" >/dev/null || missing="$missing $program"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "The tests start programs that are missing here; please install:$missing" >&2
    exit 1
fi

echo "Installing$missing"
# Installing a server must not start one: a policy file is the means that Debian gives for that.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
    trap 'rm -f $policy' EXIT
    trap 'exit 1' INT TERM
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod +x $policy
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086 # a list of names, split on purpose
apt-get install -qq -y --no-install-recommends $missing </dev/null >/dev/null
