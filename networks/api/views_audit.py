"""The firewall's audit over REST: traces, findings, exposure, and dumps of other hosts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from networks import reachability, represent
from networks.exposure import exposure, to_csv
from networks.findings import findings
from networks.models import Moment
from networks.services import dumps, moments
from networks.services.body import Body
from networks.services.moments import find_moment
from networks.services.outcome import Outcome
from networks.services.remedies import remedies
from networks.services.trace_request import read_trace
from networks.services.verify import compared, verify
from networks.tracing import PROTOCOLS, answer

from . import schemas_audit
from .base import CnmView
from .documented import documented
from .lists import listed, listed_values

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
        found = answer(self.seen_host, read_trace(given))
        proposed = [remedy.to_json() for remedy in remedies(self.actor, found)]
        return Response(found.to_json() | {"remedies": proposed})


class Verify(CnmView):
    @documented(
        "Send one real packet and show what came back beside what was predicted",
        body=schemas_audit.TraceRequest,
        answer=schemas_audit.Verified,
        write=True,
    )
    def post(self, request: Request) -> Response:
        asked = read_trace(self.body())

        def body(outcome: Outcome) -> dict[str, Any] | None:
            found = answer(self.seen_host, asked)
            return compared(found, outcome.operation) if outcome.operation is not None else None

        return self.write(lambda: verify(self.actor, self.host, asked), body=body, would=lambda outcome: None)


class Findings(CnmView):
    @documented("List what an admin should know of rules and network", answer=schemas_audit.Finding, many=True)
    def get(self, request: Request) -> Response:
        found = [finding.to_json() | {"host": host.name} for host in self.seen_hosts() for finding in findings(host)]
        return listed_values(request, found, sorts=("severity", "code", "subject"))


class Exposure(CnmView):
    @documented(
        "List published and listening ports with the addresses on which they can be reached",
        answer=schemas_audit.Exposed,
        many=True,
        filters=("kind", "container"),
    )
    def get(self, request: Request) -> Response:
        wanted = {name: request.query_params.get(name, "") for name in ("kind", "container")}
        found = [exposed.to_json() | {"host": host.name} for host in self.seen_hosts() for exposed in exposure(host)]
        found = [row for row in found if all(row[name] == text for name, text in wanted.items() if text)]
        return listed_values(request, found, sorts=("host_port", "container"))


class ExposureTable(CnmView):
    @documented("Export the exposure report as CSV, a line for each port and address", answer=schemas_audit.Table)
    def get(self, request: Request) -> HttpResponse:
        found = ((host.name, one) for host in self.seen_hosts() for one in exposure(host))
        answer = HttpResponse(to_csv(found), content_type="text/csv; charset=utf-8")
        answer["Content-Disposition"] = 'attachment; filename="exposure.csv"'
        return answer


class Reachability(CnmView):
    @documented(
        "Say who reaches whom, with what differs since a kept moment",
        answer=schemas_audit.Reachability,
        filters=("port", "protocol", "since"),
    )
    def get(self, request: Request) -> Response:
        body = Body({name: _whole(value) for name, value in request.query_params.items() if name in _REACH})
        port, protocol = body.integer("port", 0, most=65535), body.choice("protocol", "tcp", PROTOCOLS)
        since = body.integer("since", 0, most=2**62)
        body.finish()
        then = find_moment(self.host, since) if since else None
        found = reachability.matrix(self.seen_host, port, protocol)
        if found is None:
            nothing: dict[str, Any] = {"sources": [], "targets": [], "verdicts": [], "addresses": {}}
            return Response({**nothing, "ipv6": nothing, "differences": []})
        differing = reachability.differences(then.data, found) if then is not None else ()
        return Response(found | {"differences": [one.to_json() for one in differing]})


class Moments(CnmView):
    @documented("List kept moments of who reached whom", answer=schemas_audit.Moment, many=True)
    def get(self, request: Request) -> Response:
        rows = Moment.objects.filter(host=self.host).defer("data")
        return listed(request, rows, represent.moment)

    @documented(
        "Keep who reaches whom now",
        body=schemas_audit.MomentRequest,
        answer=schemas_audit.Moment,
        status=201,
        write=True,
    )
    def post(self, request: Request) -> Response:
        body = Body(self.body())
        note = body.text("note", "", most=120)
        body.finish()
        return self.write(lambda: Outcome(moments.keep_moment(self.actor, self.host, note)), created=True)


_REACH = ("port", "protocol", "since")


def _whole(text: str) -> object:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else text


class Dumps(CnmView):
    @documented("Audit the saved rules of another host", body=schemas_audit.DumpRequest, answer=schemas_audit.Dump)
    def post(self, request: Request) -> Response:
        body = Body(self.body())
        dump = dumps.read_dump(body)
        body.finish()
        return Response(dumps.audit_of(dump))
