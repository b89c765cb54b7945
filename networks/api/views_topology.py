"""The whole of a host over REST: what is there as a graph, what is wanted as a file, and a Compose file as such a file."""

from __future__ import annotations

from typing import Any

from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from networks import represent
from networks.cnm.errors import CnmError
from networks.models import Container, Host, Network
from networks.services import topology as services
from networks.services.body import Body
from networks.services.compose import read_variables
from networks.services.outcome import Outcome
from networks.services.spec_topology import Declaration, read_topology
from networks.services.topology_file import import_compose, lines_told, read_file, write_file
from networks.services.yaml_text import MOST_BYTES, Document
from networks.steady import steady

from . import schemas
from .base import CnmView
from .documented import documented
from .json_media import JsonParser
from .yaml_media import YAML_PARSERS, YamlRenderer, YamlText


class Topology(CnmView):
    renderer_classes = [JSONRenderer, YamlRenderer]
    parser_classes = [JsonParser, *YAML_PARSERS]

    @documented(
        "Show hosts, networks and containers at once, for a graph; as YAML: the desired state, as PUT takes it",
        answer=schemas.Topology,
        filters=("format",),
    )
    def get(self, request: Request) -> Response:
        if request.accepted_renderer.format == YamlRenderer.format:
            return Response(write_file(services.export(self.host)))
        with steady():
            return Response(
                {
                    "hosts": [represent.host(row) for row in Host.objects.all()],
                    "networks": [represent.network(row) for row in represent.prepared(Network)],
                    "containers": [represent.container(row) for row in represent.prepared(Container)],
                }
            )

    @documented(
        "Apply a desired state: a file of networks and containers",
        body=schemas.DesiredState,
        answer=schemas.TopologyChanges,
        write=True,
        filters=("prune",),
    )
    def put(self, request: Request) -> Response:
        declaration, document = self._declared()
        prune = self.flag("prune")
        found: dict[str, Any] = {}

        def use_case() -> Outcome:
            with lines_told(document):
                applied = services.apply_topology(self.actor, self.host, declaration, prune=prune)
            found.update(applied.changes.to_json())
            return applied.outcome

        def answer(outcome: Outcome) -> dict[str, Any]:
            operation = outcome.operation
            return {**found, "operation": represent.operation(operation) if operation is not None else None}

        return self.write(use_case, body=answer, would=lambda outcome: dict(found))

    def _declared(self) -> tuple[Declaration, Document]:
        value = self.body()
        return read_file(value.text) if isinstance(value, YamlText) else (read_topology(value), Document(value))


class Compose(CnmView):
    @documented(
        "Show a Compose file as a file of the desired state, with what is not taken over",
        body=schemas.ComposeRequest,
        answer=schemas.ComposeImport,
    )
    def post(self, request: Request) -> Response:
        body = Body(self.body())
        text = body.text("compose", most=MOST_BYTES)
        given = body.take("variables", {})
        variables = (
            read_variables(body.text("variables", most=MOST_BYTES))
            if isinstance(given, str)
            else body.mapping("variables")
        )
        body.finish()
        try:
            return Response(import_compose(text, variables).to_json())
        except CnmError as error:
            error.field = error.field or "compose"
            raise
