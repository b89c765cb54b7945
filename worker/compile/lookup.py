"""Which container resolves a name, and to what: the answer that a C library inside would get, without asking one.

Names are looked up as nsswitch's usual ``hosts: files dns`` does: in the hosts file first, and only where it is silent by asking
the name servers of resolv.conf. What the embedded DNS server says is what its own zone says.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from networks.cnm.addresses import AnyAddress
from networks.cnm.etc_text import addresses_for
from networks.cnm.resources import EtcLine, NameRecord, NameServer, Owner, Resource
from networks.cnm.text import Text
from worker.dns.zone import Record, Sandbox, Zone

from .names import EMBEDDED_DNS


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One address that a name has, and why it has that."""

    address: AnyAddress
    source: str
    """``hosts``: a line of the hosts file; ``dns``: the embedded DNS server."""
    text: str
    """The line, or the names that the server knows the endpoint by."""
    owner: Owner
    why: Text


class Lookup:
    """The names of one host, as *resources* (what its desired state compiles to) say."""

    def __init__(self, resources: Iterable[Resource]) -> None:
        self._zone = Zone()
        self._records: dict[tuple[str, str], NameRecord] = {}
        self._servers: dict[str, NameServer] = {}
        for resource in resources:
            if isinstance(resource, NameRecord):
                self._records[resource.network_id, resource.endpoint_id] = resource
                self._zone.put(_record(resource))
            elif isinstance(resource, NameServer):
                self._servers[resource.sandbox] = resource

    def resolve(
        self, name: str, sandbox: str, hosts: Sequence[EtcLine], asked: Sequence[str]
    ) -> tuple[tuple[Answer, ...], tuple[str, ...]]:
        """(answers, who else is asked) about *name* in *sandbox*, whose files hold the lines *hosts* and the servers *asked*."""
        if answers := tuple(from_hosts(name, hosts)):
            return answers, ()
        server = self._servers.get(sandbox)
        if server is None or EMBEDDED_DNS not in asked:
            return (), tuple(asked)
        if answers := tuple(self._from_zone(name, server)):
            return answers, ()
        return (), server.servers if server.forwards else ()

    def _from_zone(self, name: str, server: NameServer) -> Iterator[Answer]:
        """Of each address family those of the first network that has any, as the server answers."""
        sandbox = Sandbox(name=server.sandbox, networks=server.networks, links=_lower(server.links))
        found = self._zone.find(sandbox, name.lower().rstrip("."))
        for version in (4, 6):
            told = ((r, [a for a in r.addresses if a.version == version]) for records in found for r in records)
            first = next((record.network for record, addresses in told if addresses), None)
            for record in (record for records in found for record in records if record.network == first):
                resource = self._records[record.key]
                for address in record.addresses:
                    if address.version == version:
                        text = " ".join(resource.names)
                        yield Answer(address=address, source="dns", text=text, owner=resource.owner, why=resource.why)


def from_hosts(name: str, lines: Sequence[EtcLine]) -> Iterator[Answer]:
    """What the hosts file of these *lines* says about *name*, the first line first."""
    for position, address in addresses_for(name, [line.text for line in lines]):
        line = lines[position]
        yield Answer(address=address, source="hosts", text=line.text, owner=line.owner, why=line.why)


def _record(resource: NameRecord) -> Record:
    return Record(
        network=resource.network_id,
        endpoint=resource.endpoint_id,
        network_name=resource.network_name.lower(),
        container=resource.container_id,
        names=tuple(name.lower() for name in resource.names),
        addresses=resource.addresses,
        ports=resource.ports,
    )


def _lower(links: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple((alias.lower(), container) for alias, container in links)
