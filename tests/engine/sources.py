"""Where images come from: a registry on the host's own loopback, and archives."""

from __future__ import annotations

PORT = 5000
WEB = f"127.0.0.1:{PORT}/team/web"


def make_sources() -> None:
    """Runs inside: an image, and what ``docker save`` would make of it, under two names and under none."""
    import subprocess

    from tests.kernel.test_images import make_layout

    layout = make_layout()
    names = ("--additional-tag", "team/saved:2")
    for archive, more in (("named", names), ("nameless", ())):
        target = f"docker-archive:/run/{archive}.tar" + (":saved:1" if more else "")
        subprocess.run(["skopeo", "copy", *more, f"oci:{layout}", target], check=True, capture_output=True)
