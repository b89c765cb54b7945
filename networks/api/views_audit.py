"""The firewall's audit over REST: traces, findings, exposure, and dumps of other hosts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from networks.exposure import exposure
from networks.findings import findings
from networks.services import dumps
from networks.services.body import Body
from networks.services.remedies import remedies
from networks.services.trace_request import read_trace
from networks.tracing import answer

from . import schemas_audit
from .base import CnmView
from .documented import documented
from .lists import listed_values

_TRACE = ("from", "to", "protocol", "port", "interface", "source_port", "state")


class TraceView(CnmView):
    @documented("Say what a packet would do, rule by rule", answer=schemas_audit.Trace, filters=_TRACE)
    def get(self, request: Request) -> Response:
        given: dict[str, Any] = {name: value for name, value in request.query_params.items() if name in _TRACE}
        for name in ("port", "source_port"):
            text = given.get(name, "")
            if text.isascii() and text.isdigit() and len(text) < 8:
                given[name] = int(text)
        return self._answer(given)

    @documented("Say what a packet would do", body=schemas_audit.TraceRequest, answer=schemas_audit.Trace)
    def post(self, request: Request) -> Response:
        return self._answer(self.body())

    def _answer(self, given: Mapping[str, Any]) -> Response:
        found = answer(self.host, read_trace(given))
        proposed = [remedy.to_json() for remedy in remedies(self.actor, found)]
        return Response(found.to_json() | {"remedies": proposed})


class Findings(CnmView):
    @documented("List what an admin should know of rules and network", answer=schemas_audit.Finding, many=True)
    def get(self, request: Request) -> Response:
        found = [finding.to_json() for finding in findings(self.host)]
        return listed_values(request, found, sorts=("severity", "code", "subject"))


class Exposure(CnmView):
    @documented(
        "List published ports with the addresses on which they can be reached", answer=schemas_audit.Exposed, many=True
    )
    def get(self, request: Request) -> Response:
        found = [exposed.to_json() for exposed in exposure(self.host)]
        return listed_values(request, found, sorts=("host_port", "container"))


class Dumps(CnmView):
    @documented("Audit the saved rules of another host", body=schemas_audit.DumpRequest, answer=schemas_audit.Dump)
    def post(self, request: Request) -> Response:
        body = Body(self.body())
        dump = dumps.read_dump(body)
        body.finish()
        return Response(dumps.audit_of(dump))
