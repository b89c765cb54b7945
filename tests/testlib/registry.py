"""A registry that serves one OCI layout by the distribution API (v2), over plain HTTP on loopback.

``python -m tests.testlib.registry LAYOUT PORT`` serves until it is ended.
"""

from __future__ import annotations

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self


class Registry:
    """Serves the image of *layout* under every repository name, with the tag ``latest``."""

    def __init__(self, layout: Path, port: int = 0) -> None:
        self.asked: list[str] = []
        index = json.loads((layout / "index.json").read_text())
        blobs = layout / "blobs" / "sha256"
        manifest = index["manifests"][0]
        asked = self.asked

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                asked.append(self.path)
                what, _, reference = self.path.rpartition("/")
                digest = manifest["digest"] if reference == "latest" else reference
                file = blobs / digest.removeprefix("sha256:")
                if self.path == "/v2/":
                    self._answer(200, "application/json", b"{}")
                elif not file.is_file():
                    self._answer(404, "application/json", b'{"errors": [{"code": "MANIFEST_UNKNOWN"}]}')
                elif what.endswith("/manifests"):
                    self._answer(200, manifest["mediaType"], file.read_bytes(), digest)
                else:
                    self._answer(200, "application/octet-stream", file.read_bytes(), digest)

            def do_HEAD(self) -> None:
                self.do_GET()

            def _answer(self, status: int, kind: str, content: bytes, digest: str = "") -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(content)))
                if digest:
                    self.send_header("Docker-Content-Digest", digest)
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:
                """Nothing: the test looks at what was asked."""

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


if __name__ == "__main__":
    with Registry(Path(sys.argv[1]), int(sys.argv[2])):
        threading.Event().wait()
