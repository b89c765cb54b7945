"""The three files of containers, who resolves a name, and what links told a process at its start."""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response

from networks import represent
from networks.etc_files import files_of, files_of_all
from networks.link_variables import link_variables
from networks.models import Container
from networks.name_lookup import look_up
from networks.services.find import find_container

from . import schemas_names
from .base import CnmView
from .documented import documented
from .lists import listed_values


class FilesOfAll(CnmView):
    @documented(
        "Show the files of containers, each line with its owner and reason", answer=schemas_names.FilesOf, many=True
    )
    def get(self, request: Request) -> Response:
        found = [
            {"container": {"id": row.pk, "name": row.name}, "files": [view.to_json() for view in views]}
            for row, views in files_of_all(self.host)
        ]
        return listed_values(request, found, search=lambda value: str(value["container"]["name"]))


class Lines(CnmView):
    @documented(
        "Show a container's files, each line with its owner and reason", answer=schemas_names.FileView, many=True
    )
    def get(self, request: Request, ref: str) -> Response:
        row = represent.prepared(Container).get(pk=find_container(self.host, ref).pk)
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
