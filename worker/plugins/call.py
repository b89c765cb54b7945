"""One call of a plugin: a POST with JSON both ways, over a Unix socket, TCP or TLS, within a time that nothing stretches."""

from __future__ import annotations

import json
import socket
import ssl
import time
from collections.abc import Mapping
from typing import Any

import h11

from .find import Address, Tls

MEDIA_TYPE = "application/vnd.docker.plugins.v1.2+json"
MOST_BYTES = 1 << 20
"""How long an answer may be."""
_CHUNK = 1 << 16
_SHOWN = 300
"""Of a refusal in somebody else's words, as many characters are passed on."""


class Unheard(Exception):
    """The plugin did not answer. Whether it heard us is not known."""


class Malformed(Exception):
    """The plugin answered, and not in the protocol's words."""


class Refused(Exception):
    """The plugin answered that it will not; its own words. ``unknown``: it does not know the method."""

    def __init__(self, words: str, *, unknown: bool = False) -> None:
        super().__init__(words)
        self.unknown = unknown


def call(address: Address, method: str, body: Mapping[str, Any] | None, timeout_s: float) -> dict[str, Any]:
    """What the plugin answers to *method* (``NetworkDriver.Join``). Raises Unheard, Malformed, Refused.

    *timeout_s* is the time for all of it, from the connection to the answer's last byte.
    """
    deadline = time.monotonic() + timeout_s
    try:
        with _connected(address, deadline) as stream:
            status, text = _exchange(stream, address, method, body, deadline)
    except TimeoutError:
        raise Unheard(f"no answer within {timeout_s:g} s") from None
    except OSError as error:
        raise Unheard(_cause(error)) from error
    except h11.RemoteProtocolError as error:
        raise Malformed(f"no HTTP ({error})") from error
    return _read(status, text)


def reach(address: Address, timeout_s: float) -> None:
    """Raises :class:`Unheard` when nobody listens at *address*. Says nothing to whoever does."""
    try:
        _open(address, time.monotonic() + timeout_s).close()
    except TimeoutError:
        raise Unheard(f"no connection within {timeout_s:g} s") from None
    except OSError as error:
        raise Unheard(_cause(error)) from error


def _open(address: Address, deadline: float) -> socket.socket:
    if not address.socket:
        return socket.create_connection((address.host, address.port), _left(deadline))
    stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        stream.settimeout(_left(deadline))
        stream.connect(address.socket)
    except BaseException:
        stream.close()
        raise
    return stream


def _connected(address: Address, deadline: float) -> socket.socket:
    stream = _open(address, deadline)
    if address.tls is None:
        return stream
    try:
        context = _context(address.tls)
        stream.settimeout(_left(deadline))
        return context.wrap_socket(stream, server_hostname=address.host or None)
    except BaseException:
        stream.close()
        raise


def _context(tls: Tls) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=tls.ca or None)
    if not tls.verified:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if tls.cert:
        context.load_cert_chain(tls.cert, tls.key or None)
    return context


def _exchange(
    stream: socket.socket, address: Address, method: str, body: Mapping[str, Any] | None, deadline: float
) -> tuple[int, bytes]:
    content = b"" if body is None else json.dumps(body).encode()  # Docker sends nothing where there is nothing to say
    headers = [
        ("Host", address.host or address.name),
        ("Accept", MEDIA_TYPE),
        ("Content-Type", MEDIA_TYPE),
        ("Content-Length", str(len(content))),
        ("Connection", "close"),
    ]
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=_CHUNK)
    asked = [h11.Request(method="POST", target=f"/{method}", headers=headers), h11.Data(content), h11.EndOfMessage()]
    stream.settimeout(_left(deadline))
    stream.sendall(b"".join(connection.send(event) or b"" for event in asked))
    status, parts, size, ended = 0, [], 0, False
    while True:
        try:
            event = connection.next_event()
        except h11.RemoteProtocolError:
            if ended:
                raise Unheard("it hung up before its answer was whole") from None
            raise
        if event is h11.NEED_DATA:
            stream.settimeout(_left(deadline))
            data = stream.recv(_CHUNK)
            ended = not data
            connection.receive_data(data)
        elif isinstance(event, h11.Response):
            status = event.status_code
        elif isinstance(event, h11.Data):
            parts.append(bytes(event.data))
            size += len(event.data)
            if size > MOST_BYTES:
                raise Malformed(f"an answer of more than {MOST_BYTES} bytes")
        elif isinstance(event, h11.EndOfMessage | h11.ConnectionClosed):
            return status, b"".join(parts)


def _read(status: int, text: bytes) -> dict[str, Any]:
    """An answer's object. A refusal is an ``Err``, or a status that is none of success."""
    try:
        value = json.loads(text) if text.strip() else {}
    except (ValueError, RecursionError):  # the latter: nested without end
        value = None
    words = value.get("Err") if isinstance(value, dict) else None
    if status == 404:
        raise Refused(_shown(words or text), unknown=not words)
    if status != 200 or words:
        raise Refused(_shown(words or text or str(status)))
    if not isinstance(value, dict):
        raise Malformed(f"no JSON object: {_shown(text)!r}")
    return value


def _shown(words: Any) -> str:
    text = words.decode(errors="replace") if isinstance(words, bytes) else str(words)
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())[:_SHOWN]


def _cause(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {error.verify_message}"
    return error.strerror or str(error) or type(error).__name__


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
