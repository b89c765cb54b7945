"""From a call to its handler, and refusals in the protocol's form: a sentence as ``Err``, where network drivers have it, and as ``Error``,
where IPAM drivers have it (libnetwork, ``drivers/remote/api`` and ``ipams/remote/api``)."""

from __future__ import annotations

import inspect
import json
import logging
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from django.conf import settings

from networks.cnm.errors import CnmError
from networks.engine.call import stepped
from networks.engine.errors import EngineError
from networks.engine.http import Exchange, Gone, TooLarge
from networks.engine.threads import in_thread
from networks.services.actor import Actor
from networks.services.find import find_host

from . import addresses, endpoints, networks
from .call import ACTOR, Call, Value, malformed, number_in

log = logging.getLogger("networks.docker_plugin")

CONTENT = "application/vnd.docker.plugins.v1.2+json"
PLUGIN = {"Implements": ["NetworkDriver", "IpamDriver"]}
Handler = Callable[[Call], Any]


def _discover(call: Call) -> Value:
    number_in(call.body, "DiscoveryType")
    return {}


HANDLERS: Mapping[str, Handler] = {
    "/Plugin.Activate": lambda call: PLUGIN,
    "/NetworkDriver.GetCapabilities": lambda call: {"Scope": "local", "ConnectivityScope": "local"},
    "/NetworkDriver.CreateNetwork": networks.create,
    "/NetworkDriver.DeleteNetwork": networks.delete,
    "/NetworkDriver.CreateEndpoint": endpoints.create,
    "/NetworkDriver.EndpointOperInfo": endpoints.tell,
    "/NetworkDriver.DeleteEndpoint": endpoints.delete,
    "/NetworkDriver.Join": endpoints.join,
    "/NetworkDriver.Leave": endpoints.leave,
    "/NetworkDriver.DiscoverNew": _discover,
    "/NetworkDriver.DiscoverDelete": _discover,
    "/NetworkDriver.ProgramExternalConnectivity": endpoints.open_ports,
    "/NetworkDriver.RevokeExternalConnectivity": endpoints.close_ports,
    "/IpamDriver.GetCapabilities": lambda call: {"RequiresMACAddress": False, "RequiresRequestReplay": False},
    "/IpamDriver.GetDefaultAddressSpaces": lambda call: addresses.SPACES,
    "/IpamDriver.RequestPool": addresses.request_pool,
    "/IpamDriver.ReleasePool": addresses.release_pool,
    "/IpamDriver.RequestAddress": addresses.request_address,
    "/IpamDriver.ReleaseAddress": addresses.release_address,
}
"""Every call of the protocol that is answered. A Swarm's (``AllocateNetwork``, ``FreeNetwork``) are not: its networks are not local."""


async def handle(exchange: Exchange) -> None:
    """Answer one call, whatever happens."""
    try:
        status, value = await _answered(exchange)
    except Gone:
        raise
    except CnmError as error:
        status, value = 200, _refusal(str(error))
    except EngineError as error:
        status, value = error.status, _refusal(error.message)
    except TooLarge:
        status, value = 413, _refusal("the request body is too large")
    except Exception:
        log.exception("a call of a Docker Engine failed: %s", exchange.request.path)
        status, value = 500, _refusal("CNM Web failed to answer; the reason is in the log of its engine process")
    await exchange.answer(status, json.dumps(value).encode(), {"Content-Type": CONTENT})


async def _answered(exchange: Exchange) -> tuple[int, Value]:
    handler = HANDLERS.get(exchange.request.path)
    if handler is None or exchange.request.method != "POST":
        return 404, _refusal(f"{exchange.request.path} is not implemented")
    content = await exchange.body()
    call = await in_thread(_call, content)
    if inspect.isgeneratorfunction(handler):
        return 200, await stepped(handler(call))
    return 200, await in_thread(handler, call)


def _refusal(sentence: str) -> Value:
    return {"Err": sentence, "Error": sentence}


def _call(content: bytes) -> Call:
    actor = Actor(name=ACTOR, role="operator", via="plugin", request_id=uuid.uuid4().hex)
    return Call(actor, find_host(settings.HOST_NAME), _body(content))


def _body(content: bytes) -> Mapping[str, Any]:
    if not content.strip():
        return {}
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, Mapping):
        raise malformed("body")
    return value
