#!/bin/sh
# Compose v2 for the tests, where the host's own packages have none: Debian has it since 13. On Debian 12 the one program of that package is
# unpacked into var/compose-v2, with lists of packages of its own, so that nothing else of this host comes from another release.
set -eu
plugin=usr/libexec/docker/cli-plugins/docker-compose
cd "$(dirname "$0")/.."
docker compose version >/dev/null 2>&1 && exit 0
[ -x "var/compose-v2/$plugin" ] && exit 0
. /etc/os-release
[ "${ID-} ${VERSION_CODENAME-}" = "debian bookworm" ] || {
    echo "cnmweb: there is no Compose v2 here (on Ubuntu: the package docker-compose-v2)." >&2
    exit 1
}
echo "  unpacking docker-compose of Debian 13"
state=$(mktemp -d)
trap 'rm -rf "$state"' EXIT
chmod 755 "$state"
archive=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Label: Debian' 'Codename: bookworm' | head -n 1)
keys=/usr/share/keyrings/debian-archive-keyring.gpg
echo "deb [signed-by=$keys] $archive trixie main" >"$state/sources.list"
fetch() {
    apt-get -q -o Dir::Etc::sourcelist="$state/sources.list" -o Dir::Etc::sourceparts=- -o Dir::State::lists="$state/lists" \
        -o Dir::Cache="$state/cache" -o APT::Sandbox::User=root "$@" >>"$state/said" 2>&1 || { cat "$state/said" >&2; exit 1; }
}
mkdir "$state/lists" "$state/cache"
fetch update
(cd "$state" && fetch download docker-compose/trixie)
mkdir -p var
rm -rf var/compose-v2.new
dpkg-deb -x "$state"/docker-compose_*.deb var/compose-v2.new
rm -rf var/compose-v2
mv var/compose-v2.new var/compose-v2
