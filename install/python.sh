#!/bin/sh
# Make sure that the distribution's Python is there, with what a virtual environment and one C extension need.
set -eu
if /usr/bin/python3 -c 'import ensurepip, venv, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null &&
    [ -e "/usr/include/python$(/usr/bin/python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')/Python.h" ] &&
    command -v gcc >/dev/null; then
    exit 0
fi
[ "$(id -u)" = 0 ] || { echo "cnmweb: python3-venv, python3-dev and gcc are missing: run this with sudo." >&2; exit 1; }
export DEBIAN_FRONTEND=noninteractive
echo "  installing Python"
said=$(mktemp)
trap 'rm -f "$said"' EXIT
{
    apt-get update -q &&
        apt-get install -y -q --no-install-recommends python3 python3-venv python3-dev gcc libc6-dev
} >"$said" 2>&1 || { cat "$said" >&2; exit 1; }
