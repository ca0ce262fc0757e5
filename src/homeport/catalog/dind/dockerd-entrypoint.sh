#!/bin/sh
# Start dockerd in a privileged container, by the contract of docker:dind:
#
#   (no argument), -OPTION…   dockerd on its socket and on TCP, with these options
#   dockerd …                 dockerd as it is called
#   anything else             that program, with DOCKER_HOST for the service "docker"
#
# DOCKER_TLS_CERTDIR  where keys and certificates are and are made: dockerd then listens on port
#                     2376 for clients with a certificate; empty: on port 2375, open to everyone
# DOCKER_TLS_SAN      more names of the server, such as DNS:name,IP:10.0.0.1
# DOCKER_HOST         unix://…: another socket
set -eu

complain() {
    printf 'dockerd-entrypoint: %s\n' "$1" >&2
    exit 1
}

# --- keys and certificates -------------------------------------------------------------------

new_key() { # FILE
    [ -s "$1" ] || (umask 077 && openssl genrsa -out "$1" 2048 2>/dev/null)
}

# A certificate is made anew a day before its end.
current() { # FILE
    [ -s "$1" ] && openssl x509 -in "$1" -noout -checkend 86400 >/dev/null 2>&1
}

server_names() {
    printf 'DNS:localhost,DNS:docker,IP:127.0.0.1,IP:0:0:0:0:0:0:0:1'
    [ -z "$(hostname)" ] || printf ',DNS:%s' "$(hostname)"
    ip -o addr show 2>/dev/null | awk '{ sub(/\/.*/, "", $4); if ($3 ~ /^inet/) printf ",IP:%s", $4 }'
    [ -z "${DOCKER_TLS_SAN:-}" ] || printf ',%s' "$DOCKER_TLS_SAN"
}

signed() { # FOLDER NAME USAGE [SUBJECT-ALTERNATIVE-NAMES]
    new_key "$1/key.pem"
    extensions="$1/extensions"
    printf 'basicConstraints=critical,CA:FALSE\nextendedKeyUsage=%s\n' "$3" >"$extensions"
    [ -z "${4:-}" ] || printf 'subjectAltName=%s\n' "$4" >>"$extensions"
    openssl req -new -key "$1/key.pem" -subj "/CN=$2" -out "$1/csr.pem"
    openssl x509 -req -in "$1/csr.pem" -CA "$certificates/ca/cert.pem" \
        -CAkey "$certificates/ca/key.pem" -set_serial "0x$(openssl rand -hex 16)" -days 825 \
        -sha256 -extfile "$extensions" -out "$1/cert.pem" 2>/dev/null
    rm "$extensions"
    cp "$certificates/ca/cert.pem" "$1/ca.pem"
}

# Certificates that were put there without the authority's key are used as they are.
make_certificates() {
    if [ ! -s "$certificates/ca/key.pem" ] && [ -s "$certificates/server/key.pem" ] &&
        [ -s "$certificates/server/cert.pem" ] && [ -s "$certificates/server/ca.pem" ]; then
        return
    fi
    mkdir -p "$certificates/ca" "$certificates/server" "$certificates/client"
    new_key "$certificates/ca/key.pem"
    current "$certificates/ca/cert.pem" ||
        openssl req -x509 -new -key "$certificates/ca/key.pem" -sha256 -days 3650 \
            -subj '/CN=docker:dind CA' -out "$certificates/ca/cert.pem"
    # The server's names may be others in each container.
    signed "$certificates/server" docker:dind\ server serverAuth "$(server_names)"
    current "$certificates/client/cert.pem" &&
        openssl verify -CAfile "$certificates/ca/cert.pem" "$certificates/client/cert.pem" \
            >/dev/null 2>&1 ||
        signed "$certificates/client" docker:dind\ client clientAuth
    # Clients are other containers, with other users.
    chmod 0644 "$certificates/client/key.pem"
}

# --- what a container lacks that dockerd needs -----------------------------------------------

prepare() {
    # Some programs behave differently in a container.
    export container=docker
    # A file that a stopped container left behind keeps dockerd from starting.
    rm -f /run/docker.pid /run/docker/containerd/containerd.pid
    if [ -d /sys/kernel/security ] && ! mountpoint -q /sys/kernel/security; then
        mount -t securityfs none /sys/kernel/security 2>/dev/null || true
    fi
    mountpoint -q /tmp || mount -t tmpfs none /tmp || true
    nest_cgroups
    # Volumes that containers share need mounts that propagate.
    mount --make-rshared / || true
}

# cgroup v2: a group that hands controllers on has no processes of its own, so ours move down.
nest_cgroups() {
    group=/sys/fs/cgroup
    [ -f "$group/cgroup.controllers" ] || return 0
    mkdir -p "$group/init"
    tries=0
    until
        while read -r process; do
            echo "$process" >"$group/init/cgroup.procs" || true
        done <"$group/cgroup.procs" 2>/dev/null
        sed -e 's/ / +/g' -e 's/^/+/' <"$group/cgroup.controllers" \
            >"$group/cgroup.subtree_control" 2>/dev/null
    do # new processes may have come meanwhile
        tries=$((tries + 1))
        [ "$tries" -lt 100 ] || complain "cannot hand on cgroup controllers in $group"
    done
}

# --- what to start ---------------------------------------------------------------------------

certificates=${DOCKER_TLS_CERTDIR-}

case ${1:--} in
-*)
    socket=unix:///var/run/docker.sock
    case ${DOCKER_HOST:-} in unix://*) socket=$DOCKER_HOST ;; esac
    if [ -n "$certificates" ]; then
        make_certificates
        set -- dockerd --host="$socket" --host=tcp://0.0.0.0:2376 --tlsverify \
            --tlscacert "$certificates/server/ca.pem" --tlscert "$certificates/server/cert.pem" \
            --tlskey "$certificates/server/key.pem" "$@"
    else
        # dockerd waits for a moment where it is told to be open to everyone without saying so.
        set -- dockerd --host="$socket" --host=tcp://0.0.0.0:2375 --tls=false "$@"
    fi
    ;;
esac

if [ "$1" = dockerd ]; then
    [ "$(id -u)" = 0 ] || complain "dockerd needs root here; this image has no rootlesskit"
    prepare
    set -- docker-init -- "$@"
elif [ -z "${DOCKER_HOST:-}" ] && [ ! -S /var/run/docker.sock ]; then
    # A client, beside a service of this image.
    if [ -n "$certificates" ] && [ -s "$certificates/client/ca.pem" ]; then
        export DOCKER_HOST=tcp://docker:2376 DOCKER_TLS_VERIFY=1 DOCKER_CERT_PATH="$certificates/client"
    else
        export DOCKER_HOST=tcp://docker:2375
    fi
fi
exec "$@"
