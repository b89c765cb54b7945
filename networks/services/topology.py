"""The desired state of a whole host, read and applied: what differs is carried out by the use cases that do it one by one.

Whatever can be seen beforehand is all or nothing. Then it is one operation with one plan; what fails in the kernel fails by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from networks import feed, withheld
from networks.cnm.errors import CnmError, NotFound
from networks.cnm.text import Text, gettext_noop
from networks.models import Container, Endpoint, Host, Link, Network
from networks.models.choices import Wanted

from . import bulk, ipam, links, networks, ports
from .actor import Actor, require
from .containers import update_container
from .declared import declaration_of, declared, exposed_by_images, rows_of, subnet_request
from .find import find_container, find_network
from .network_changes import update_network
from .operations import check_alive, enqueue, gathered, record
from .outcome import Outcome
from .second_look import with_second_look
from .spec_container import ContainerRequest, attachments_of
from .spec_network import NetworkChanges, NetworkRequest, check_changes
from .spec_ports import PortRequest
from .spec_topology import Declaration
from .topology_changes import (
    CHANGE,
    CREATE,
    REMAKE,
    REMOVE,
    REPAIR,
    Change,
    Changes,
    Surroundings,
    attachments,
    canonical,
    compare,
    network_differences,
)
from .volumes import filled_first

VERB = "topology.apply"


@dataclass(frozen=True, slots=True)
class Applied:
    """What a file came to."""

    changes: Changes
    outcome: Outcome


def export(host: Host) -> Declaration:
    """The desired state of *host*."""
    return declared(host)


@with_second_look
def apply_topology(actor: Actor, host: Host, wanted: Declaration, *, prune: bool = False) -> Applied:
    """Take *host* to what *wanted* declares; with *prune* what is not declared goes. Where nothing differs, nothing is done."""
    require(actor, "operator")
    check_alive(actor, host)
    with feed.transaction(actor.name), gathered(VERB) as gathering:
        work = _Work(actor, host, wanted, prune=prune)
        work.check_names()
        work.carry_out()
        if work.changes or gathering.operation is not None:
            record(actor, VERB, None, work.changes.to_json() | {"prune": prune}, gathering.operation)
        return Applied(work.changes, Outcome(None, gathering.operation, tuple(work.warnings)))


class _Work:
    """One file, one host, and the steps from one to the other; inside the transaction."""

    def __init__(self, actor: Actor, host: Host, wanted: Declaration, *, prune: bool) -> None:
        self.actor, self.host, self.wanted = actor, host, wanted
        net_rows, box_rows = map(list, rows_of(host))
        self.networks = {row.name: row for row in net_rows}
        self.containers = {row.name: row for row in box_rows}
        images = exposed_by_images(host)
        present = declaration_of(net_rows, box_rows, images)
        self.around = Surroundings(
            images=images,
            subnets={
                row.name: tuple(
                    replace(subnet_request(subnet), gateway=ipam.gateway_of(subnet)) for subnet in row.subnets.all()
                )
                for row in net_rows
            },
            without_endpoints=frozenset(row.name for row in net_rows if row.driver in {"host", "null"})
            | {request.name for request in wanted.networks if request.driver in {"host", "null"}},
        )
        self.present = {request.name: request for request in present.containers}
        self.asked_networks = {request.name: request for request in wanted.networks}
        self.asked = {request.name: request for request in wanted.containers}
        self.present_networks = {request.name: request for request in present.networks}
        self.changes = compare(wanted, present, self.around, prune=prune)
        self._differing = {one.name: one.fields for one in self.changes.changes if one.kind == "container"}
        self.warnings: list[Text] = []
        self._later: dict[str, list[tuple[str, str]]] = {}
        """Links that are made when both their ends are there: recipient -> (source, alias)."""

    # What can be seen before anything is done

    def check_names(self) -> None:
        """Every network and container that the file speaks of is in it, or there and to stay."""
        going = set(self.changes.of("network", REMOVE)), set(self.changes.of("container", REMOVE))
        nets = ({*self.networks, *(request.name for request in self.wanted.networks)}) - going[0]
        boxes = ({*self.containers, *self.asked}) - going[1]
        for request in self.wanted.containers:
            path = f"containers.{request.name}"
            for below, attach in attachments_of(request):
                _check_known("network", attach.network, nets, f"{path}.{below}network")
            if request.network.startswith("container:"):
                _check_known("container", request.network.removeprefix("container:"), boxes, f"{path}.network")
            for number, (source, _) in enumerate(request.links):
                _check_known("container", source, boxes, f"{path}.links.{number}")

    # The steps

    def carry_out(self) -> None:
        """Everything that differs, in an order in which each step finds what it needs."""
        changed = self.changes.of("container", CHANGE)
        for name in changed:
            self._take_off(name)
        self._remove()
        self._make_networks()
        for name in changed:
            self._put_on(name)
        starting = [name for name in changed if self._is_to_start(name)]
        self._start([name for name in starting if name not in self._later])
        self._make_containers()
        for recipient, wanted in self._later.items():
            for source, alias in wanted:
                with _at(f"containers.{recipient}.links"):
                    links.link(self.actor, self._container(recipient), self._container(source), alias)
        self._start([name for name in starting if name in self._later])
        self._take_up()

    def _take_off(self, name: str) -> None:
        """What a container that stays is to have no more."""
        row = self.containers[name]
        had, asked = self._both(name)
        with _at(f"containers.{name}.links"):
            for link in row.links.all():
                if (link.source.name, "" if link.alias == link.source.name else link.alias) not in asked.links:
                    links.unlink(self.actor, link)
        with _at(f"containers.{name}.ports"):
            kept = {_without_sources(port) for port in asked.ports}
            for port in _unasked(row, had, kept):
                ports.unpublish(self.actor, row, port)
        with _at(f"containers.{name}.networks"):
            now, then = attachments(had), attachments(asked)
            for network in now:
                if now[network] != then.get(network):
                    networks.disconnect(self.actor, self.networks[network], row)
        ipam.give_way(Endpoint.objects.filter(container=row, removing=True))

    def _remove(self) -> None:
        going = [self.containers[name] for name in self.changes.of("container", REMAKE, REMOVE)]
        remade = {self.containers[name].pk for name in self.changes.of("container", REMAKE)}
        nets = [self.networks[name].pk for name in self.changes.of("network", REMOVE)]
        stopping = [name for name in self.changes.of("container", CHANGE) if not self.asked[name].start]
        ending = [*(self.containers[name].pk for name in stopping), *(row.pk for row in going)]
        if ending:
            bulk.stop_many(self.actor, self.host, ending)
        ids = [row.pk for row in going]
        for link in (
            Link.objects.filter(source__in=remade).exclude(recipient__in=ids).select_related("recipient", "source")
        ):
            self._link_again(link)
        if ids or nets:
            with _at(""):
                bulk.remove_many(self.actor, self.host, ids, nets, force=True)
        ipam.give_way(Endpoint.objects.filter(container__in=ids))
        for row in Container.objects.filter(pk__in=remade):
            row.name = f"{row.name[:100]}.{row.short_id}"  # its own name is the next one's
            row.save(update_fields=["name"])

    def _link_again(self, link: Link) -> None:
        """A link to a container that is made anew is made anew too, if it is still wanted."""
        recipient, source = link.recipient.name, link.source.name
        alias = "" if link.alias == source else link.alias
        links.unlink(self.actor, link)
        asked = self.asked.get(recipient)
        if asked is None or (source, alias) in canonical(asked, self.around).links:
            self._later.setdefault(recipient, []).append((source, alias))

    def _make_networks(self) -> None:
        new = [self._network(name) for name in self.changes.of("network", CREATE)]
        if new:
            with self._numbered(Declaration(networks=tuple(new))):
                bulk.create_many(self.actor, self.host, new, [])
        for name in self.changes.of("network", CHANGE):
            with _at(f"networks.{name}"):
                update_network(self.actor, self.networks[name], self._network_changes(name))

    def _network_changes(self, name: str) -> NetworkChanges:
        asked, had = self._network(name), self.present_networks[name]
        differing = network_differences(asked, had, self.around.subnets[name])
        check_changes(asked, had)
        values: dict[str, Any] = {item: getattr(asked, item) for item in differing if item not in {"driver", "options"}}
        if "options" in differing:
            keys = {**had.options, **asked.options}
            values["options"] = {
                key: asked.options.get(key) for key in keys if asked.options.get(key) != had.options.get(key)
            }
        return NetworkChanges(**values)

    def _put_on(self, name: str) -> None:
        """What a container that stays gets besides."""
        row = self.containers[name]
        had, asked = self._both(name)
        now, then = attachments(had), attachments(asked)
        for network in then:
            if then[network] != now.get(network):
                with _at(f"containers.{name}.networks"):
                    networks.connect(self.actor, find_network(self.host, network), row, then[network])
        with _at(f"containers.{name}.ports"):
            self._publish(row, had, asked)
        if {"labels", "restart_policy", "restart_max"} & set(self._fields(name)):
            with _at(f"containers.{name}"):
                update_container(self.actor, row, asked.labels, asked.restart_policy, asked.restart_max)
        here = {(link.source.name, link.alias) for link in Link.objects.filter(recipient=row).select_related("source")}
        again = self._later.get(name, [])
        fresh = [pair for pair in asked.links if (pair[0], pair[1] or pair[0]) not in here and pair not in again]
        if fresh:
            self._later.setdefault(name, []).extend(fresh)

    def _publish(self, row: Container, had: ContainerRequest, asked: ContainerRequest) -> None:
        kept = {_without_sources(port): port for port in had.ports}
        fresh = [port for port in asked.ports if _without_sources(port) not in kept]
        if fresh:
            ports.publish(self.actor, row, fresh)
        for port in asked.ports:
            before = kept.get(_without_sources(port))
            if before is not None and before.allowed_sources != port.allowed_sources:
                ports.restrict(self.actor, row, _row_of(row, before), port.allowed_sources)

    def _make_containers(self) -> None:
        """Those that others need come first; a link that closes a circle, or leads to what is made later, is made at the end."""
        new = {name: self.asked[name] for name in self.changes.of("container", CREATE, REMAKE)}
        if not new:
            return
        ordered: list[ContainerRequest] = []
        made: set[str] = set()
        for name in _in_order(new):
            request = new[name]
            early = tuple(pair for pair in request.links if pair[0] in made or pair[0] not in new)
            if late := [pair for pair in request.links if pair not in early]:
                self._later.setdefault(name, []).extend(late)
            ordered.append(replace(request, links=early))
            made.add(name)
        with self._numbered(Declaration(containers=tuple(ordered))):
            done = bulk.create_many(self.actor, self.host, [], ordered)
        self.warnings += done.outcome.warnings

    def _is_to_start(self, name: str) -> bool:
        return "start" in self._fields(name) and self.asked[name].start

    def _start(self, names: list[str]) -> None:
        if names:
            with self._numbered(Declaration(containers=tuple(self.asked[name] for name in names))):
                bulk.start_many(self.actor, self.host, names)

    def _take_up(self) -> None:
        """Try again what is declared and could not be made: the file asks for it."""
        nets = Network.objects.filter(
            host=self.host, name__in=[one.name for one in self.wanted.networks], withheld=True
        )
        boxes = Container.objects.filter(host=self.host, name__in=list(self.asked), wanted=Wanted.RUNNING)
        lacking = withheld.lacking(self.host)
        failed = [row for row in boxes if row.run == row.failed_run or row.pk in lacking]
        chosen_nets, chosen = list(nets), Container.objects.filter(pk__in=[row.pk for row in failed])
        if chosen_nets or failed:
            withheld.take_up(nets, chosen)
            enqueue(self.actor, self.host, VERB, None, networks=chosen_nets, containers=failed, **filled_first(failed))
            again = [*(("network", row.name) for row in chosen_nets), *(("container", row.name) for row in failed)]
            known = {(change.kind, change.name) for change in self.changes.changes}
            repairs = tuple(Change(kind, name, REPAIR) for kind, name in again if (kind, name) not in known)
            self.changes = replace(self.changes, changes=(*self.changes.changes, *repairs))

    # Words

    def _network(self, name: str) -> NetworkRequest:
        return self.asked_networks[name]

    def _container(self, name: str) -> Container:
        return find_container(self.host, name)

    def _both(self, name: str) -> tuple[ContainerRequest, ContainerRequest]:
        """A container as it is and as it is wanted, in one spelling."""
        return canonical(self.present[name], self.around), canonical(self.asked[name], self.around)

    def _fields(self, name: str) -> tuple[str, ...]:
        return self._differing[name]

    @contextmanager
    def _numbered(self, requests: Declaration) -> Iterator[None]:
        """A refusal of one of a list of *requests* names its place in the file."""
        try:
            yield
        except CnmError as error:
            error.field = requests.field_of(error.field)
            raise


@contextmanager
def _at(path: str) -> Iterator[None]:
    """A refusal within names *path* of the file."""
    try:
        yield
    except CnmError as error:
        error.field = path if not error.field or path.endswith(error.field) or not path else f"{path}.{error.field}"
        raise


def _check_known(kind: str, name: str, known: set[str], path: str) -> None:
    if name in known:
        return
    raise NotFound(
        gettext_noop("There is no {kind} {name}, neither in the file nor on the host where it would stay."),
        remedy=gettext_noop("Declare it in the file, or name another."),
        field=path,
        kind=kind,
        name=name,
    )


def _without_sources(port: PortRequest) -> PortRequest:
    return replace(port, allowed_sources=())


def _unasked(row: Container, had: ContainerRequest, kept: set[PortRequest]) -> list[str]:
    """The ids of the published ports that are not wanted any more."""
    return [_row_of(row, port) for port in had.ports if _without_sources(port) not in kept]


def _row_of(row: Container, port: PortRequest) -> str:
    found = row.ports.filter(
        removing=False,
        container_port=port.container_port,
        wanted_host_port=port.host_port,
        wanted_host_port_end=port.host_port_end,
        host_address=str(port.host_address or ""),
        protocol=port.protocol,
    )
    return str(found.values_list("pk", flat=True)[0])


def _in_order(new: Mapping[str, ContainerRequest]) -> list[str]:
    """The names of *new* containers, each after those that it needs, else as the file has them."""
    done: dict[str, None] = {}
    for first in new:
        ahead = [first]
        seen = {first}
        while ahead:
            name = ahead[-1]
            request = new[name]
            needs = [source for source, _ in request.links]
            if request.network.startswith("container:"):
                needs.append(request.network.removeprefix("container:"))
            waits = next((one for one in needs if one in new and one not in done and one not in seen), None)
            if waits is None:
                done.setdefault(ahead.pop())
            else:
                seen.add(waits)
                ahead.append(waits)
    return list(done)
