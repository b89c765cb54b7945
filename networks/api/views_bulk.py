"""Many objects in one request over REST."""

from __future__ import annotations

from collections.abc import Callable

from rest_framework.request import Request
from rest_framework.response import Response

from networks.services import bulk
from networks.services.body import Body
from networks.services.bulk import MOST_CONTAINERS, MOST_NETWORKS, Handled
from networks.services.outcome import Outcome
from networks.services.spec_container import read_container, read_timeout
from networks.services.spec_network import read_network

from . import schemas
from .base import CnmView
from .documented import documented

LONGEST_NAME = 255


class _Many(CnmView):
    """A write on many objects: one operation, one commit of the rules."""

    def write_many(self, use_case: Callable[[], Handled], *, created: bool = False) -> Response:
        """As :meth:`write`; the answer names the objects, also those that are gone by then."""
        named: dict[str, list[str]] = {}

        def handled() -> Outcome:
            done = use_case()
            named.update(networks=list(done.networks), containers=list(done.containers))
            return done.outcome

        return self.write(handled, created=created, body=lambda outcome: dict(named))


def _containers(body: Body) -> tuple[str, ...]:
    return body.texts("containers", most=MOST_CONTAINERS, longest=LONGEST_NAME)


class CreateMany(_Many):
    @documented(
        "Make many networks and containers, all or nothing",
        body=schemas.BulkRequest,
        answer=schemas.BulkAnswer,
        status=201,
        write=True,
    )
    def post(self, request: Request) -> Response:
        body = Body(self.body())
        networks = body.each("networks", lambda field, value: read_network(value, field), most=MOST_NETWORKS)
        containers = body.each("containers", lambda field, value: read_container(value, field), most=MOST_CONTAINERS)
        body.finish()
        return self.write_many(lambda: bulk.create_many(self.actor, self.host, networks, containers), created=True)


class StartMany(_Many):
    @documented("Start many containers", body=schemas.BulkStart, answer=schemas.BulkAnswer, write=True)
    def post(self, request: Request) -> Response:
        body = Body(self.body())
        containers = _containers(body)
        body.finish()
        return self.write_many(lambda: bulk.start_many(self.actor, self.host, containers))


class StopMany(_Many):
    @documented("Stop many containers", body=schemas.BulkStop, answer=schemas.BulkAnswer, write=True)
    def post(self, request: Request) -> Response:
        body = Body(self.body())
        containers, timeout = _containers(body), read_timeout(body)
        body.finish()
        return self.write_many(lambda: bulk.stop_many(self.actor, self.host, containers, timeout))


class RemoveMany(_Many):
    @documented("Remove many containers and networks", body=schemas.BulkRemove, answer=schemas.BulkAnswer, write=True)
    def post(self, request: Request) -> Response:
        body = Body(self.body())
        containers, force = _containers(body), body.flag("force")
        networks = body.texts("networks", most=MOST_NETWORKS, longest=LONGEST_NAME)
        body.finish()
        return self.write_many(lambda: bulk.remove_many(self.actor, self.host, containers, networks, force=force))
