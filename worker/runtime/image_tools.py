"""skopeo and umoci: fetching an image from where it lies, and unpacking it."""

from __future__ import annotations

import ipaddress
import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from networks.cnm.errors import InvalidSpec, Unavailable, Unsupported
from networks.cnm.text import gettext_noop

from .oci_layout import TAG

TRANSPORTS = ("docker://", "oci:", "oci-archive:", "docker-archive:", "dir:")
POLICY = Path("/etc/containers/policy.json")
TIMEOUT_S = 3600
PASSED_ON = ("PATH", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "SSL_CERT_FILE")
"""What the tools get of our environment: nothing that holds a password of root's."""


def check_source(source: str) -> None:
    """Raises InvalidSpec for what is not one of the sources we know, in skopeo's spelling."""
    transport = next((known for known in TRANSPORTS if source.startswith(known)), "")
    place = source.removeprefix(transport)
    plain = transport and place and not place.startswith("-") and place.isprintable() and " " not in place
    if not plain or (transport != "docker://" and not place.startswith("/")):
        raise InvalidSpec(
            gettext_noop("{source} names no image that can be fetched."),
            remedy=gettext_noop(
                "Give docker://registry/name:tag, or an absolute path on the host after "
                "oci:, oci-archive:, docker-archive: or dir:."
            ),
            field="source",
            source=source,
        )


def is_loopback(source: str) -> bool:
    """Whether *source* is a registry on this very host, which may be asked without TLS."""
    if not source.startswith("docker://"):
        return False
    host = source.removeprefix("docker://").partition("/")[0]
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"


def copy_to_layout(source: str, layout: Path, progress: Callable[[str], None]) -> None:
    """Copy *source* into a new OCI layout, with only what this machine needs of it."""
    command = ["skopeo", *(() if POLICY.exists() else ("--insecure-policy",)), "copy"]
    if is_loopback(source):
        command.append("--src-tls-verify=false")
    _run([*command, source, f"oci:{layout}:{TAG}"], layout.parent, progress)


def health_check(source: str, folder: Path) -> dict[str, Any]:
    """The health check (Docker's ``Healthcheck``) of *source*; empty: it has none. A layout loses it: OCI images have no place for one."""
    command = ["skopeo", *(() if POLICY.exists() else ("--insecure-policy",)), "inspect", "--config", "--raw"]
    if is_loopback(source):
        command.append("--tls-verify=false")
    lines: list[str] = []
    _run([*command, source], folder, lines.append)
    try:
        found = json.loads("\n".join(lines))["config"]["Healthcheck"]
    except (ValueError, KeyError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}


def unpack(layout: Path, rootfs: Path) -> None:
    """Unpack all layers into *rootfs*. umoci keeps every path of a hostile archive inside it."""
    _run(["umoci", "raw", "unpack", "--image", f"{layout}:{TAG}", str(rootfs)], layout.parent, lambda line: None)


def _run(command: Sequence[str], folder: Path, progress: Callable[[str], None]) -> None:
    environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    environment |= {"TMPDIR": str(folder), "HOME": str(folder), "REGISTRY_AUTH_FILE": str(folder / "auth.json")}
    (folder / "auth.json").write_text("{}")
    with tempfile.TemporaryFile("w+", dir=folder) as complaints:
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=complaints, env=environment, text=True
            )
        except FileNotFoundError:
            raise Unsupported(
                gettext_noop("The program {program} is not installed on this host."),
                remedy=gettext_noop("Install the package {program}."),
                program=command[0],
            ) from None
        with process:
            for line in process.stdout or ():
                progress(line.strip())
            code = process.wait(TIMEOUT_S)
        if code:
            complaints.seek(0)
            raise _refused(command[0], complaints.read())


def _refused(program: str, output: str) -> Exception:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    cause = _message(lines[-1]) if lines else "no reason given"
    if program == "skopeo":
        return Unavailable(
            gettext_noop("The image could not be fetched: {cause}"),
            remedy=gettext_noop("Check the name, and that the registry or the path can be reached from this host."),
            field="source",
            cause=cause,
        )
    return InvalidSpec(
        gettext_noop("The image could not be unpacked: {cause}"),
        remedy=gettext_noop("Make the archive again with a current tool."),
        field="source",
        cause=cause,
    )


def _message(line: str) -> str:
    """The text of a log line of the tools: ``time="…" level=fatal msg="…"``."""
    _, mark, text = line.partition('msg="')
    return text.rstrip('"').replace('\\"', '"') if mark else line
