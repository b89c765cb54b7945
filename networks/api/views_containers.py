"""Containers, their ports, links and logs over REST."""

from __future__ import annotations

import time
from collections.abc import Callable

from django.http import HttpResponse, StreamingHttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from networks import represent
from networks.cnm.errors import InvalidSpec
from networks.cnm.names import OBJECT_NAME
from networks.cnm.text import gettext_noop
from networks.follow import printed, stamped
from networks.models import Container, Endpoint, Link
from networks.services import containers as services
from networks.services import kept
from networks.services import links as link_services
from networks.services import ports as port_services
from networks.services.body import Body
from networks.services.find import find_container, find_link
from networks.services.outcome import Outcome
from networks.services.spec_container import read_container, read_signal, read_timeout
from networks.services.spec_network import NAME_WANTED
from networks.services.spec_ports import read_port, read_sources

from . import schemas
from .base import CnmView, operation_body
from .documented import documented
from .lists import listed

LONGEST_WAIT_S = 600
PLAIN = "text/plain; charset=utf-8"
_LINK_SORTS = {"alias": "alias", "recipient": "recipient__name", "source": "source__name"}


class Containers(CnmView):
    @documented(
        "List containers", answer=schemas.Container, many=True, filters=("name", "state", "kind", "image", "network")
    )
    def get(self, request: Request) -> Response:
        rows = represent.prepared(Container).filter(**self.on_host())
        return listed(
            request,
            rows,
            represent.container,
            search=("name", "pk", "image"),
            filters={
                "name": "name",
                "state": "status",
                "kind": "kind",
                "image": "image",
                "network": "endpoints__network__name",
            },
            sorts={"name": "name", "state": "status", "created_at": "created_at", "image": "image"},
        )

    @documented("Run a container", body=schemas.ContainerRequest, answer=schemas.Container, status=201, write=True)
    def post(self, request: Request) -> Response:
        wanted = read_container(self.body())
        return self.write(lambda: services.run_container(self.actor, self.host, wanted), created=True)


class OneContainer(CnmView):
    @documented("Show a container", answer=schemas.Container)
    def get(self, request: Request, ref: str) -> Response:
        container = find_container(self.host, ref)
        return Response(represent.container(represent.again(container)))

    @documented("Remove a container", status=204, write=True, filters=("force",))
    def delete(self, request: Request, ref: str) -> Response:
        force = self.flag("force")
        return self.write(lambda: services.remove_container(self.actor, find_container(self.host, ref), force))


class _Verb(CnmView):
    """A verb of one container: a POST whose body has a few fields."""

    def on(self, ref: str, use_case: Callable[[Container], Outcome]) -> Response:
        return self.write(lambda: use_case(find_container(self.host, ref)))

    def stopping(self) -> tuple[int | None, str]:
        """How a process is to be ended: seconds until SIGKILL, and the signal before that; None, empty: as it was made."""
        body = Body(self.body())
        timeout, signal = read_timeout(body), body.take("signal", "")
        body.finish()
        return timeout, read_signal("signal", signal) if signal else ""


class Start(_Verb):
    @documented("Start a container", answer=schemas.Container, write=True)
    def post(self, request: Request, ref: str) -> Response:
        return self.on(ref, lambda container: services.start_container(self.actor, container))


class Stop(_Verb):
    @documented("Stop a container", body=schemas.StopRequest, answer=schemas.Container, write=True)
    def post(self, request: Request, ref: str) -> Response:
        timeout, signal = self.stopping()
        return self.on(ref, lambda container: services.stop_container(self.actor, container, timeout, signal))


class Restart(_Verb):
    @documented("Restart a container", body=schemas.StopRequest, answer=schemas.Container, write=True)
    def post(self, request: Request, ref: str) -> Response:
        timeout, signal = self.stopping()
        return self.on(ref, lambda container: services.restart_container(self.actor, container, timeout, signal))


class Kill(_Verb):
    @documented(
        "Send a signal to a container's process", body=schemas.KillRequest, answer=schemas.Container, write=True
    )
    def post(self, request: Request, ref: str) -> Response:
        body = Body(self.body())
        signal = read_signal("signal", body.take("signal", "SIGKILL"))
        body.finish()
        return self.on(ref, lambda container: services.kill_container(self.actor, container, signal))


class Pause(_Verb):
    @documented("Have a container's processes stand still", answer=schemas.Container, write=True)
    def post(self, request: Request, ref: str) -> Response:
        return self.on(ref, lambda container: services.pause_container(self.actor, container))


class Unpause(_Verb):
    @documented("Let a paused container go on", answer=schemas.Container, write=True)
    def post(self, request: Request, ref: str) -> Response:
        return self.on(ref, lambda container: services.unpause_container(self.actor, container))


class Rename(_Verb):
    @documented("Rename a container", body=schemas.RenameRequest, answer=schemas.Container, write=True)
    def post(self, request: Request, ref: str) -> Response:
        body = Body(self.body())
        name = body.text("name", pattern=OBJECT_NAME, wanted=NAME_WANTED, most=128)
        body.finish()
        return self.on(ref, lambda container: services.rename_container(self.actor, container, name))


class Exec(_Verb):
    @documented("Run a command in a container", body=schemas.ExecRequest, answer=schemas.Operation, write=True)
    def post(self, request: Request, ref: str) -> Response:
        body = Body(self.body())
        command = body.texts("command", most=1024, longest=131072)
        options = {
            "env": body.mapping("env"),
            "user": body.text("user", "", most=64),
            "working_dir": body.text("working_dir", ""),
            "timeout": body.integer("timeout", 60, least=1, most=3600),
        }
        body.finish()
        if not command:
            raise InvalidSpec(
                gettext_noop("No command is given."), remedy=gettext_noop("Give a list of words."), field="command"
            )
        return self.write(
            lambda: services.exec_in_container(self.actor, find_container(self.host, ref), command, **options),
            body=operation_body,
            would=lambda outcome: None,
        )


class Commit(_Verb):
    @documented("Make an image of a container's files", body=schemas.CommitRequest, answer=schemas.Image, write=True)
    def post(self, request: Request, ref: str) -> Response:
        body = Body(self.body())
        image = body.text("image", most=255)
        body.finish()
        return self.on(ref, lambda container: services.commit_container(self.actor, container, image))


class Ports(_Verb):
    @documented("Publish more ports of a container", body=schemas.PublishRequest, answer=schemas.Container, write=True)
    def post(self, request: Request, ref: str) -> Response:
        body = Body(self.body())
        wanted = [port for ports in body.each("ports", read_port) for port in ports]
        body.finish()
        if not wanted:
            raise InvalidSpec(gettext_noop("No port is given."), remedy=gettext_noop("Give ports."), field="ports")
        return self.on(ref, lambda container: port_services.publish(self.actor, container, wanted))


class OnePort(_Verb):
    @documented("Say who may reach a published port", body=schemas.PortSources, answer=schemas.Container, write=True)
    def patch(self, request: Request, ref: str, port_id: str) -> Response:
        body = Body(self.body())
        sources = read_sources(body)
        body.finish()
        return self.on(ref, lambda container: port_services.restrict(self.actor, container, port_id, sources))

    @documented("Close a published port", answer=schemas.Container, write=True)
    def delete(self, request: Request, ref: str, port_id: str) -> Response:
        return self.on(ref, lambda container: port_services.unpublish(self.actor, container, port_id))


class Files(CnmView):
    @documented("Show a container's hosts, hostname and resolv.conf", answer=schemas.Files)
    def get(self, request: Request, ref: str) -> Response:
        return Response(find_container(self.host, ref).files)


class Wait(CnmView):
    @documented("Wait until a container has ended", answer=schemas.WaitAnswer, filters=("timeout",))
    def get(self, request: Request, ref: str) -> Response:
        text = request.query_params.get("timeout", "60")
        if not (text.isascii() and text.isdigit() and len(text) < 9) or int(text) > LONGEST_WAIT_S:
            raise InvalidSpec(
                gettext_noop("timeout is a whole number up to {most}."),
                remedy=gettext_noop("Give seconds."),
                field="timeout",
                most=LONGEST_WAIT_S,
            )
        container = find_container(self.host, ref)
        deadline = time.monotonic() + int(text)
        ended = ("exited", "failed", "created")
        while container.status not in ended and time.monotonic() < deadline:
            time.sleep(0.05)
            container.refresh_from_db(fields=["status", "exit_code"])
        return Response(
            {"state": container.status, "exit_code": container.exit_code},
            status=200 if container.status in ended else 202,
        )


class Logs(CnmView):
    @documented("Read or follow a container's log, as text", filters=("tail", "follow", "timestamps"))
    def get(self, request: Request, ref: str) -> HttpResponse:
        container = find_container(self.host, ref)
        text = request.query_params.get("tail", "1000")
        if not (text.isascii() and text.isdigit() and len(text) < 9):
            raise InvalidSpec(
                gettext_noop("tail is a whole number."), remedy=gettext_noop("Give how many lines."), field="tail"
            )
        words = stamped if self.flag("timestamps") else printed
        if not self.flag("follow"):
            return HttpResponse(words(kept.log_lines(container, request.user, int(text))), content_type=PLAIN)
        lines = kept.log_followed(container, request.user, tail=int(text), text=words)
        return StreamingHttpResponse(lines, content_type=PLAIN)


class Links(CnmView):
    @documented("List links", answer=schemas.Link, many=True, filters=("recipient", "source", "alias"))
    def get(self, request: Request) -> Response:
        rows = represent.prepared(Link).filter(**self.on_host("recipient__host"))
        filters = {"recipient": "recipient__name", "source": "source__name", "alias": "alias"}
        search = ("alias", "recipient__name", "source__name")
        return listed(request, rows, represent.link, filters=filters, sorts=_LINK_SORTS, search=search)

    @documented("Link a container to another", body=schemas.LinkRequest, answer=schemas.Link, status=201, write=True)
    def post(self, request: Request) -> Response:
        body = Body(self.body())
        recipient, source = body.text("recipient"), body.text("source")
        alias = body.text("alias", "", pattern=OBJECT_NAME, wanted=NAME_WANTED, most=128)
        body.finish()

        def use_case() -> Outcome:
            one, other = find_container(self.host, recipient), find_container(self.host, source)
            return link_services.link(self.actor, one, other, alias)

        return self.write(use_case, created=True)


class OneLink(CnmView):
    @documented("Remove a link", status=204, write=True)
    def delete(self, request: Request, ref: str) -> Response:
        return self.write(lambda: link_services.unlink(self.actor, find_link(self.host, ref)))


class Endpoints(CnmView):
    @documented("List endpoints", answer=schemas.Endpoint, many=True, filters=("network", "container"))
    def get(self, request: Request) -> Response:
        rows = represent.prepared(Endpoint).filter(removing=False, **self.on_host("container__host")).order_by("pk")
        filters = {"network": "network__name", "container": "container__name"}
        return listed(
            request,
            rows,
            represent.endpoint,
            filters=filters,
            search=("ipv4", "ipv6", "mac"),
            sorts={**filters, "mac": "mac"},
        )
