#!/bin/sh
# Draws a password for each use, once: what lies in the volume is kept. Valkey's user for Footfall may do what docs/redis.md
# lists, by a hash of the password; no other user can log in.
set -eu
umask 022
cd /run/secrets

draw() { [ -s "$1" ] || head -c 32 /dev/urandom | sha256sum | cut -d ' ' -f 1 >"$1"; }
for name in valkey_password metrics_token grafana_password; do
    draw $name
done

# Nobody can log in as "default", and yet it may do everything: in its name Valkey reads its own append-only file, and leaves out
# of it what that user may not do.
hash=$(tr -d '\n' <valkey_password | sha256sum | cut -d ' ' -f 1)
cat >valkey.acl <<END
user default off ~* &* +@all
user footfall on #$hash ~footfall:* +@read +@write +@scripting +@connection +select +time +wait +role +info +config|get +cluster|slots
END
chown 999:1000 /data
