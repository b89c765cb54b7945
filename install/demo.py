"""``make demo``: the whole product on a throw-away host inside this one, with a small sample. Nothing of this machine is touched."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.testlib.product import ADMIN, PASSWORD, Product

ADDRESS, PORT = "127.0.0.1", int(os.environ.get("CNM_DEMO_PORT", "8000"))
REPOSITORY = Path(__file__).resolve().parent.parent
SERVE = ["busybox", "nc", "-ll", "-p", "80", "-e", "echo", "hello"]
SAMPLE: tuple[tuple[str, dict[str, object]], ...] = (
    ("networks", {"name": "frontend", "subnets": [{"subnet": "10.20.0.0/24"}]}),
    ("networks", {"name": "backend", "internal": True, "subnets": [{"subnet": "10.21.0.0/24"}]}),
    ("containers", {"name": "web", "command": SERVE, "network": "frontend", "ports": ["8080:80"]}),
    ("networks/backend/connect", {"container": "web"}),
    ("containers", {"name": "db", "command": ["sleep", "infinity"], "network": "backend"}),
    ("containers", {"name": "cache", "command": ["sleep", "infinity"], "network": "backend"}),
)


def collect_static(folder: str) -> None:
    env = {**os.environ, "CNM_STATE_DIR": folder, "CNM_RUN_DIR": folder, "CNM_STATIC_ROOT": f"{folder}/static"}
    command = [sys.executable, str(REPOSITORY / "manage.py"), "collectstatic", "--noinput", "-v0"]
    subprocess.run(command, env=env, check=True, cwd=REPOSITORY)


async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One direction of a connection, to its end."""
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


async def serve(socket: Path) -> None:
    """Show the demo's web server, which only its own network reaches, on this machine's loopback."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_unix_connection(socket)
        await asyncio.gather(carry(reader, inner_writer), carry(inner_reader, writer))

    async with await asyncio.start_server(talk, ADDRESS, PORT) as server:
        await server.serve_forever()


def main() -> None:
    print("CNM Web: a throw-away host starts …", flush=True)
    with tempfile.TemporaryDirectory(prefix="cnm-demo-") as folder:
        collect_static(folder)
        Path(folder).chmod(0o755)
        with Product({"CNM_STATIC_ROOT": f"{folder}/static"}) as product:
            for path, body in SAMPLE:
                answer = product.api.post(f"/api/v1/{path}", json=body)
                answer.raise_for_status()
            print(f"The demo is at http://{ADDRESS}:{PORT}/ — name {ADMIN}, password {PASSWORD}. Ctrl-C ends it.")
            sys.stdout.flush()
            try:
                asyncio.run(serve(product.bottle.root / "run/cnm/web.sock"))
            except KeyboardInterrupt:
                print("The demo and everything in it is gone.")


if __name__ == "__main__":
    main()
