"""Networks over REST."""

from __future__ import annotations

from django.db.models import Q
from rest_framework.request import Request
from rest_framework.response import Response

from networks import represent
from networks.models import Network
from networks.models.network import usable_on
from networks.services import networks as services
from networks.services.body import Body
from networks.services.find import find_container, find_network
from networks.services.network_changes import update_network
from networks.services.outcome import Outcome
from networks.services.spec_container import read_attach
from networks.services.spec_network import read_changes, read_network

from . import schemas
from .base import CnmView
from .documented import documented
from .lists import listed


class Networks(CnmView):
    @documented("List networks", answer=schemas.Network, many=True, filters=("name", "driver", "scope", "status"))
    def get(self, request: Request) -> Response:
        rows = represent.prepared(Network).filter(Q() if self.of_every_host else usable_on(self.host))
        same = {name: name for name in ("name", "driver", "scope", "status")}
        return listed(
            request,
            rows,
            represent.network,
            filters=same,
            search=("name", "pk"),
            sorts={"name": "name", "created_at": "created_at", "driver": "driver", "activation": "activation"},
        )

    @documented("Create a network", body=schemas.NetworkRequest, answer=schemas.Network, status=201, write=True)
    def post(self, request: Request) -> Response:
        wanted = read_network(self.body())
        return self.write(lambda: services.create_network(self.actor, self.host, wanted), created=True)


class OneNetwork(CnmView):
    @documented("Show a network", answer=schemas.Network)
    def get(self, request: Request, ref: str) -> Response:
        network = find_network(self.host, ref)
        return Response(represent.network(represent.again(network)))

    @documented("Change a network", body=schemas.NetworkChanges, answer=schemas.Network, write=True)
    def patch(self, request: Request, ref: str) -> Response:
        changes = read_changes(self.body())
        return self.write(lambda: update_network(self.actor, find_network(self.host, ref), changes))

    @documented("Remove a network", status=204, write=True)
    def delete(self, request: Request, ref: str) -> Response:
        return self.write(lambda: services.delete_network(self.actor, find_network(self.host, ref)))


class Connect(CnmView):
    @documented("Connect a container to a network", body=schemas.ConnectRequest, answer=schemas.Endpoint, write=True)
    def post(self, request: Request, ref: str) -> Response:
        value = self.body()
        container = Body(value).text("container")
        endpoint = {field: given for field, given in value.items() if field != "container"}
        attach = read_attach("", {**endpoint, "network": ref})

        def use_case() -> Outcome:
            return services.connect(
                self.actor, find_network(self.host, ref), find_container(self.host, container), attach
            )

        return self.write(use_case)


class Disconnect(CnmView):
    @documented(
        "Disconnect a container from a network", body=schemas.DisconnectRequest, answer=schemas.Container, write=True
    )
    def post(self, request: Request, ref: str) -> Response:
        body = Body(self.body())
        container, force = body.text("container"), body.flag("force")
        body.finish()

        def use_case() -> Outcome:
            return services.disconnect(
                self.actor, find_network(self.host, ref), find_container(self.host, container), force
            )

        return self.write(use_case)
