#!/bin/sh
# The programs that tests use beside those of the product itself. Nothing is started.
set -eu
missing=""
need() { command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ] || [ -x "/sbin/$1" ] || missing="$missing $2"; }
need iptables iptables
need nft nftables
need redis-server redis-server
need crun crun
need runc runc
need conmon conmon
need skopeo skopeo
need umoci umoci
need ip iproute2
need ping iputils-ping
need conntrack conntrack
need ipset ipset
need busybox busybox-static
need systemd-analyze systemd
need dig bind9-dnsutils
need dnsperf dnsperf
need chromium chromium
need node nodejs
need npm npm
need git git
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || missing="$missing postgresql"
[ -z "$missing" ] && exit 0
[ "$(id -u)" = 0 ] || { echo "cnmweb: these packages are missing:$missing. Run this with sudo." >&2; exit 1; }
export DEBIAN_FRONTEND=noninteractive
echo "  installing$missing"
guard=/usr/sbin/policy-rc.d
made=""
said=$(mktemp)
trap 'rm -f "$said"; [ -z "$made" ] || rm -f "$guard"' EXIT
[ -e "$guard" ] || { printf '#!/bin/sh\nexit 101\n' >"$guard"; chmod +x "$guard"; made=yes; }
# shellcheck disable=SC2086  # a list of packages
{
    apt-get update -q && apt-get install -y -q --no-install-recommends $missing
} >"$said" 2>&1 || { cat "$said" >&2; exit 1; }
