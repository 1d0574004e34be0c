# For `. deploy/stack/engine.sh` in the repository's root: containers without Docker's daemon, by buildah, podman and runc.
#
# All that they keep lies in $STACK (build/stack), apart from what the machine's own containers have. Nothing here needs systemd,
# cgroups of version 2 or the right to raise a limit.
# shellcheck shell=sh
STACK=${STACK:-$PWD/build/stack}
mkdir -p "$STACK"

# A storage driver that shares what layers have in common, where this machine's disk can carry it.
driver=$STACK/driver
if [ ! -s "$driver" ]; then
    trial=$(mktemp -d "$STACK/trial.XXXXXX")
    mkdir "$trial/lower" "$trial/upper" "$trial/work" "$trial/merged"
    if mount -t overlay overlay -o "lowerdir=$trial/lower,upperdir=$trial/upper,workdir=$trial/work" "$trial/merged" 2>/dev/null; then
        umount "$trial/merged"
        echo overlay >"$driver"
    else
        echo vfs >"$driver"
    fi
    rm -rf "$trial"
fi

cat >"$STACK/containers.conf" <<END
[containers]
default_ulimits = ["nofile=16384:16384", "nproc=16384:16384"]
log_driver = "k8s-file"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
tmp_dir = "$STACK/libpod"
[network]
network_backend = "netavark"
network_config_dir = "$STACK/networks"
END
cat >"$STACK/storage.conf" <<END
[storage]
driver = "$(cat "$driver")"
runroot = "$STACK/run"
graphroot = "$STACK/storage"
END
export STACK CONTAINERS_CONF="$STACK/containers.conf" CONTAINERS_STORAGE_CONF="$STACK/storage.conf"
export DOCKER_HOST="unix://$STACK/podman.sock"
