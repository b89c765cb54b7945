"""A product with the tests' own plugin beside it, and what is asked of both."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.testlib.plugin import PluginProcess
from tests.testlib.product import Product

from .conftest import Console

NOTHING = {"networks": 0, "endpoints": 0, "pools": 0, "addresses": 0}
OURS: dict[str, Any] = {"driver": "tester", "subnets": [{"subnet": "10.88.0.0/24"}]}
"""A network that the plugin makes, with addresses that we give."""
THEIRS: dict[str, Any] = {"driver": "tester", "ipam_driver": "tester"}
"""A network that the plugin makes, with addresses that it gives."""
SETTINGS = {"CNM_PLUGIN_TIMEOUT_SECONDS": "5"}
"""Not less: on a busy machine a plugin, which starts programs, takes a second or two for an answer."""


@contextmanager
def running(celery: str = "cnmweb.celery") -> Iterator[tuple[Console, PluginProcess]]:
    with Product(SETTINGS, celery) as product:
        plugin = PluginProcess(product.bottle)
        plugin.start()
        yield Console(product), plugin


@contextmanager
def tended(lab: tuple[Console, PluginProcess], *, within_s: float = 15) -> Iterator[Console]:
    """The console, with a plugin that is well; at the end the plugin holds nothing any more, *within_s* seconds later at most."""
    console, plugin = lab
    assert well(console), seen(console)
    yield console
    console.tidy()
    assert console.until(lambda: plugin.holds() == NOTHING, within_s=within_s), plugin.state()
    assert no_devices(console)


def seen(console: Console, name: str = "tester") -> dict[str, Any]:
    """The plugin *name* as the host's page and the API say it is."""
    (host,) = console.get("hosts")["results"]
    return next((item for item in host["plugins"] if item["name"] == name), {"state": "absent"})


def well(console: Console) -> bool:
    return bool(console.until(lambda: seen(console)["state"] == "ready" and not seen(console)["owed"], within_s=90))


def endpoint(console: Console, container: str, network: str = "far") -> dict[str, Any]:
    (found,) = [row for row in console.get(f"containers/{container}")["endpoints"] if row["network"]["name"] == network]
    return dict(found)


def no_devices(console: Console) -> bool:
    """Whether nothing is left on the host of what the plugin makes."""
    return not any(
        line.startswith(("tp", "to", "ti")) for line in console.bottle.run(["ip", "-br", "link"]).stdout.splitlines()
    )
