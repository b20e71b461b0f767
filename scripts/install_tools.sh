#!/bin/bash
# Installs what is missing, and never touches what is there.
#
#   scripts/install_tools.sh compiler postgresql python cargo-deny
#
# Debian and Ubuntu packages come by apt-get (with sudo unless root); elsewhere it says what to install.
set -euo pipefail

CARGO_DENY=0.20.2
TOOLS="$HOME/.cache/meesh/tools"

say() { echo "install_tools: $*" >&2; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

apt_install() {
    if ! command -v apt-get > /dev/null; then
        say "missing: $*; install the like of these Debian packages with this system's package manager"
        exit 1
    fi
    say "installing $*"
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" > /dev/null
}

need_compiler() {
    command -v cargo > /dev/null || { say "missing: Rust; install it from https://rustup.rs"; exit 1; }
    command -v cc > /dev/null || apt_install build-essential
}

has_postgresql() {
    local folder
    for folder in "$(pg_config --bindir 2> /dev/null || true)" /usr/lib/postgresql/*/bin ${PATH//:/ }; do
        [ -x "$folder/initdb" ] && [ -x "$folder/postgres" ] && return 0
    done
    return 1
}

need_postgresql() {
    has_postgresql && return
    # Debian's package would start a server of its own at once; nobody asked for one.
    if [ ! -e /etc/postgresql-common ] && command -v apt-get > /dev/null; then
        apt_install postgresql-common
        local drop_in=/etc/postgresql-common/createcluster.d/zz-meesh-install.conf
        as_root mkdir -p "${drop_in%/*}"
        echo "create_main_cluster = false" | as_root tee "$drop_in" > /dev/null
        apt_install postgresql
        as_root rm -f "$drop_in"
    else
        apt_install postgresql
    fi
}

need_pgbouncer() {
    command -v pgbouncer > /dev/null || [ -x /usr/sbin/pgbouncer ] && return
    # Debian's package would start a server of its own, on the usual port.
    local policy=/usr/sbin/policy-rc.d
    if [ -d "${policy%/*}" ] && [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" > /dev/null
        as_root chmod +x "$policy"
        apt_install pgbouncer
        as_root rm -f "$policy"
    else
        apt_install pgbouncer
    fi
}

need_python() {
    python3 -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2> /dev/null && return
    apt_install python3 python3-venv
}

need_cargo-deny() {
    PATH="$TOOLS/bin:$PATH" cargo deny --version > /dev/null 2>&1 && return
    say "building cargo-deny $CARGO_DENY (some minutes, once)"
    # A build that was cut short goes on where it stopped.
    CARGO_TARGET_DIR="$TOOLS/target" cargo install --quiet --locked cargo-deny --version "$CARGO_DENY" --root "$TOOLS"
    rm -rf "$TOOLS/target"
}

for tool in "$@"; do
    "need_$tool"
done
