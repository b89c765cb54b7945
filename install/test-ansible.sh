#!/bin/sh
# Ansible for the tests, in an environment of its own: ansible-core with what it needs, and of the package `ansible`, 600 MB of collections,
# the two that are used.
set -eu
cd "$(dirname "$0")/.."
lock=requirements/ansible.txt
place=var/ansible
cmp -s "$lock" "$place/installed.txt" && exit 0
sh install/python.sh
echo "  installing Ansible for the tests"
rm -rf "$place"
/usr/bin/python3 -m venv "$place"
"$place/bin/pip" download -q --disable-pip-version-check --require-hashes --no-deps --only-binary :all: -d "$place/wheels" -r "$lock"
"$place/bin/python" - "$place" <<'END'
import pathlib, sys, zipfile

place = pathlib.Path(sys.argv[1])
wanted = tuple(f"ansible_collections/community/{name}/" for name in ("docker", "library_inventory_filtering_v1"))
(whole,) = (place / "wheels").glob("ansible-*.whl")
with zipfile.ZipFile(whole) as wheel:
    wheel.extractall(place / "collections", [name for name in wheel.namelist() if name.startswith(wanted)])
whole.unlink()
END
"$place/bin/pip" install -q --disable-pip-version-check --no-index --no-deps "$place"/wheels/*.whl
rm -r "$place/wheels"
cp "$lock" "$place/installed.txt"
