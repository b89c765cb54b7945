"""Packet captures over REST."""

from __future__ import annotations

from django.http import FileResponse
from rest_framework.request import Request
from rest_framework.response import Response

from networks import represent
from networks.captures import file_name
from networks.models import Capture
from networks.services import captures as services

from . import schemas_captures as schemas
from .base import CnmView
from .documented import documented
from .lists import listed

PCAPNG = "application/x-pcapng"


class Captures(CnmView):
    @documented("List packet captures", answer=schemas.Capture, many=True, filters=("subject", "state", "created_by"))
    def get(self, request: Request) -> Response:
        filters = {"subject": "subject_name", "state": "state", "created_by": "created_by"}
        return listed(
            request,
            represent.prepared(Capture).filter(**self.on_host()),
            represent.capture,
            filters=filters,
            search=("subject_name", "network_name", "created_by", "interface"),
            sorts={**filters, "created_at": "created_at", "size": "size"},
        )

    @documented(
        "Capture packets of an endpoint or a bridge",
        body=schemas.CaptureRequest,
        answer=schemas.Capture,
        status=201,
        write=True,
    )
    def post(self, request: Request) -> Response:
        wanted = services.read_capture(self.body())
        return self.write(
            lambda: services.start_capture(self.actor, self.host, wanted),
            created=True,
            body=lambda outcome: represent.current(outcome.subject),
        )


class OneCapture(CnmView):
    @documented("Show a packet capture", answer=schemas.Capture)
    def get(self, request: Request, ref: str) -> Response:
        return Response(represent.capture(services.find_capture(self.host, ref)))

    @documented("Delete a packet capture", status=204, write=True)
    def delete(self, request: Request, ref: str) -> Response:
        return self.write(
            lambda: services.remove_capture(self.actor, services.find_capture(self.host, ref)), body=lambda _: None
        )


class StopCapture(CnmView):
    @documented("End a packet capture now", answer=schemas.Capture, write=True)
    def post(self, request: Request, ref: str) -> Response:
        return self.write(lambda: services.stop_capture(self.actor, services.find_capture(self.host, ref)))


class CaptureFile(CnmView):
    @documented("The packets of a capture, as a pcapng file")
    def get(self, request: Request, ref: str) -> FileResponse:
        capture = services.find_capture(self.host, ref)
        file = services.take_along(self.actor, capture)
        return FileResponse(file, as_attachment=True, filename=file_name(capture), content_type=PCAPNG)
