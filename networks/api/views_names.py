"""The three files of containers, who resolves a name, and what links told a process at its start."""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response

from networks import represent
from networks.etc_files import files_of, files_of_all
from networks.link_variables import link_variables
from networks.models import Host
from networks.name_lookup import look_up
from networks.services.body import Body
from networks.services.connectivity import look_up_inside
from networks.services.find import find_container

from . import schemas, schemas_names
from .base import CnmView, operation_body
from .documented import documented
from .lists import listed_values


class FilesOfAll(CnmView):
    @documented(
        "Show the files of containers, each line with its owner and reason", answer=schemas_names.FilesOf, many=True
    )
    def get(self, request: Request) -> Response:
        found = [
            {
                "host": host.name,
                "container": {"id": row.pk, "name": row.name},
                "files": [view.to_json() for view in views],
            }
            for host in (Host.objects.order_by("name") if self.of_every_host else [self.host])
            for row, views in files_of_all(host)
        ]
        return listed_values(request, found, search=lambda value: str(value["container"]["name"]))


class Lines(CnmView):
    @documented(
        "Show a container's files, each line with its owner and reason", answer=schemas_names.FileView, many=True
    )
    def get(self, request: Request, ref: str) -> Response:
        row = represent.again(find_container(self.host, ref))
        views = [view.to_json() for view in files_of(row)]
        return listed_values(request, views, search=str)


class Names(CnmView):
    @documented("Who resolves a name, and to what", answer=schemas_names.Lookup, many=True, filters=("name",))
    def get(self, request: Request) -> Response:
        name = request.query_params.get("name", "")
        found = [lookup.to_json() for lookup in look_up(self.host, name)]
        return listed_values(request, found, search=str, beside={"name": name})


class Environment(CnmView):
    @documented(
        "Show what links told a container's process at its start, and what is stale", answer=schemas_names.Environment
    )
    def get(self, request: Request, ref: str) -> Response:
        row = find_container(self.host, ref)
        variables = [variable.to_json() for variable in link_variables(row)]
        return Response({"env": row.spec.get("env", {}), "links": variables})


class LookUpInside(CnmView):
    @documented(
        "Ask a container's name servers, from within it",
        body=schemas_names.LookUpRequest,
        answer=schemas.Operation,
        write=True,
    )
    def post(self, request: Request, ref: str) -> Response:
        body = Body(self.body())
        name = body.text("name", most=255)
        body.finish()
        return self.write(
            lambda: look_up_inside(self.actor, find_container(self.host, ref), name),
            body=operation_body,
            would=lambda outcome: None,
        )
