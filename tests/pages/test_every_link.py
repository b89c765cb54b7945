"""No page leads anywhere that refuses the person who looks at it: every link is followed, by each role."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

import pytest
from django.test import Client

from networks.models import Drift, User
from tests.testlib.world import ADMIN, World

LINK = re.compile(r'<a\b[^>]*?\shref="([^"#]+)', re.DOTALL)
BEYOND = ("/api/schema/", "/containers/web/log/download/")
"""What is no page: a document for programs, and a file that only a runtime has."""


@pytest.fixture
def furnished(world: World) -> World:
    """Something of each kind, and something that failed."""
    world.network("app", subnets=[{"subnet": "10.44.0.0/24"}], labels={"team": "blue"})
    world.container("db", exposed_ports=["5432/tcp"])
    world.container("web", ports=["8080:80"], links=["db:database"], extra_hosts=["printer:192.0.2.9"])
    world.container("other", network="app")
    Drift.objects.create(
        host=world.host, key="x", kind="missing", text="a rule", owner={"kind": "container", "id": "1", "name": "web"}
    )
    return world


def links(client: Client, url: str) -> Iterator[str]:
    """Where the page at *url* leads, of our own. Fails the test where the page is not there for this person."""
    answer = client.get(url, follow=True)
    in_use = answer.status_code == 409 and url.endswith("/remove/")  # it says by what
    assert answer.status_code == 200 or in_use, f"{url}: {answer.status_code}"
    if "html" not in answer.headers["Content-Type"]:
        return
    for found in LINK.findall(answer.content.decode()):
        target = html.unescape(found)
        if target.startswith("?"):
            yield url.partition("?")[0] + target
        elif target.startswith("/") and not target.startswith("//"):
            yield target


@pytest.mark.parametrize("role", ["viewer", "operator", "admin"])
def test_every_link_that_somebody_is_shown_leads_somewhere(furnished: World, role: str) -> None:
    client = Client()
    client.force_login(User.objects.create_user(username=ADMIN.name, password="x", role=role))
    seen, waiting = {"/"}, ["/"]
    while waiting:
        url = waiting.pop()
        for target in links(client, url):
            shape = re.sub(r"(sort|page)=[^&]*&?", "", target).rstrip("?&")  # the same list in another order
            if shape not in seen and not shape.startswith(BEYOND):
                seen.add(shape)
                waiting.append(target)
    assert len(seen) > 60
    assert ("/containers/web/remove/" in seen) == (role != "viewer")
    assert ("/users/" in seen) == (role == "admin")
