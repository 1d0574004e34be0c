#!/bin/sh
# Installs what builds and runs images here, and makes stand-ins for the public images that deploy/Dockerfile and compose.yaml
# name: Debian's packages of the same programs under the same names, so that those very files can be built and run on a machine
# that reaches Debian's packages and no registry of images. Run as root in the repository's root.
#
# A stand-in shows that our files work with that program. It does not show what else the public image of that name has or lacks.
set -eu
. deploy/stack/engine.sh

if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "make image and make stack-test need root, on a system with Debian's packages" >&2
    exit 1
fi

is_installed() { [ "$(dpkg-query --show --showformat '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

missing=
for package in aardvark-dns buildah debian-archive-keyring iptables mmdebstrap netavark podman runc; do
    is_installed "$package" || missing="$missing $package"
done
if [ -n "$missing" ]; then
    echo "Installing$missing"
    policy=/usr/sbin/policy-rc.d # installing a server must not start one
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
fi

# The mirror that this machine takes Debian's packages from; where it takes none, mmdebstrap knows one.
# shellcheck disable=SC2016 # $(REPO_URI) is apt's
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -E '/debian/?$' | sort -u | head -n 1 || true)

# debian VARIANT PACKAGES TARGET: a folder or a tar archive with these packages of Debian 13, which has Python 3.13, Valkey 8,
# HAProxy 3.0 and Compose 2.
debian() {
    mmdebstrap --quiet --variant="$1" --include="$2" trixie "$3" ${mirror:+"deb $mirror trixie main"}
}

# The Compose of Docker, which finds podman by DOCKER_HOST.
if [ ! -x "$STACK/docker-compose" ]; then
    echo "Fetching Compose"
    rm -rf "$STACK/tools"
    debian extract docker-compose "$STACK/tools"
    cp "$STACK/tools/usr/libexec/docker/cli-plugins/docker-compose" "$STACK/docker-compose"
    rm -rf "$STACK/tools"
fi

# stand_in PACKAGES COMMANDS NAME...: an image of that many names. COMMANDS run in it, as a shell's.
made_by=$(sha256sum deploy/stack/prepare.sh | cut -c 1-16)
stand_in() {
    packages=$1 commands=$2
    shift 2
    if [ "$(podman image inspect --format '{{index .Labels "made-by"}}' "$1" 2>/dev/null)" = "$made_by" ]; then
        return
    fi
    echo "Making a stand-in for $*"
    debian minbase "$packages" "$STACK/root.tar"
    container=$(buildah from scratch)
    buildah add --quiet "$container" "$STACK/root.tar" / >/dev/null
    rm "$STACK/root.tar"
    buildah run --isolation chroot "$container" -- /bin/sh -euc "$commands"
    buildah config --label "made-by=$made_by" --cmd /bin/sh "$container"
    for name; do
        buildah commit --quiet "$container" "$name" >/dev/null
    done
    buildah rm "$container" >/dev/null
}

# A build sees this machine's authorities as a file of its own (build.sh), for registries are reached through what they signed
# on some machines. Where there is none of that name, nothing is said of it.
if [ -s /etc/ssl/certs/ca-certificates.crt ]; then
    pip_setting='[global]\ncert = /run/machine-authorities.pem\n'
    npm_setting='cafile=/run/machine-authorities.pem\n'
else
    pip_setting='' npm_setting=''
fi
stand_in ca-certificates,python-is-python3,python3,python3-pip "printf '$pip_setting' >/etc/pip.conf" \
    docker.io/library/python:3.13-slim
stand_in busybox,ca-certificates,haproxy,nodejs,npm,prometheus,valkey-server,valkey-tools "
    printf '$npm_setting' >/etc/npmrc
    ln -s /bin/busybox /usr/local/bin/wget" \
    docker.io/library/node:22-slim docker.io/valkey/valkey:8-alpine docker.io/library/haproxy:3.0-alpine \
    docker.io/prom/prometheus:v3.5.0
