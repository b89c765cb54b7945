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
need strace strace
need ipset ipset
need busybox busybox-static
need systemd-analyze systemd
need dig bind9-dnsutils
need dnsperf dnsperf
if grep -qx ID=debian /etc/os-release; then
    need chromium chromium
    need chromium-headless-shell chromium-headless-shell # without its window it takes a quarter less of the processor
else
    # Ubuntu's is a snap, which cannot be started inside a throw-away host.
    case "$(command -v chromium || command -v google-chrome || :)" in
    "" | /snap/*)
        echo "cnmweb: there is no package of Chromium here that is no snap: the browser tests will fail. Install Google Chrome's own package to run them." >&2
        ;;
    esac
fi
grep -qx ID=ubuntu /etc/os-release && ! docker compose version >/dev/null 2>&1 && missing="$missing docker-compose-v2"
need node nodejs
need debootstrap debootstrap
need slirp4netns slirp4netns
need npm npm
need git git
need docker docker.io
need dockerd docker.io
need docker-compose docker-compose
need msgfmt gettext
# Without a font for it the Chinese pages show boxes, whose widths are no characters'.
[ -n "$(fc-list :charset=4e2d 2>/dev/null)" ] || missing="$missing fonts-droid-fallback"
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
(
    apt-get update -q || exit 1
    for package in $missing; do
        # Ubuntu has many of them in its component universe, which may be off.
        LC_ALL=C apt-cache policy "$package" | grep -q "^  Candidate: [^(]" || absent="${absent-} $package"
    done
    if [ -n "${absent-}" ]; then
        echo "cnmweb: the package sources of this host do not offer$absent (on Ubuntu: add-apt-repository universe)."
        exit 1
    fi
    apt-get install -y -q --no-install-recommends $missing
) >"$said" 2>&1 || { cat "$said" >&2; exit 1; }
