"""The three files of a container: hosts, hostname and resolv.conf, as Docker writes them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from ipaddress import ip_address

from networks.cnm.desired import Container, Endpoint, Network
from networks.cnm.names import HOST_GATEWAY, short
from networks.cnm.resources import EtcFile, Owner
from networks.cnm.text import Text, gettext_noop
from worker.drivers import Surroundings
from worker.drivers.bridge import is_default

from .links import link_host_lines
from .names import EMBEDDED_DNS, PUBLIC_NAMESERVERS, Resolv, has_ndots, named_endpoints

STANDARD_HOSTS = (
    "127.0.0.1\tlocalhost\n"
    "::1\tlocalhost ip6-localhost ip6-loopback\n"
    "fe00::0\tip6-localnet\n"
    "ff00::0\tip6-mcastprefix\n"
    "ff02::1\tip6-allnodes\n"
    "ff02::2\tip6-allrouters\n"
)

_HOSTS = gettext_noop(
    "The names that container {container} knows without asking anybody: its own, its links', its neighbours'."
)
_HOSTNAME = gettext_noop("The name that container {container} calls itself.")
_RESOLV_CONF = gettext_noop("The name servers that container {container} asks.")


class Files:
    """Writes the files of a host's containers; what all of them share is made once."""

    def __init__(self, around: Surroundings) -> None:
        self.around = around
        self._neighbours: dict[str, str] = {}

    def hosts(self, container: Container, own_sandbox: bool) -> EtcFile:
        """``/etc/hosts``. A container without a sandbox of its own (*own_sandbox*) is on the host network."""
        return _file(container, "hosts", self._hosts(container, own_sandbox), _HOSTS)

    def hostname(self, container: Container, own_sandbox: bool) -> EtcFile:
        """``/etc/hostname``: the name that was chosen, else the container's short id, else the host's."""
        default = short(container.id) if own_sandbox else self.around.facts.hostname
        return _file(container, "hostname", f"{container.hostname or default}\n", _HOSTNAME)

    def resolv_conf(self, container: Container, own_sandbox: bool) -> EtcFile:
        """``/etc/resolv.conf``: the container's choice, else the host's, without servers that a sandbox cannot reach."""
        return _file(container, "resolv.conf", self._resolv_conf(container, own_sandbox), _RESOLV_CONF)

    def _hosts(self, container: Container, own_sandbox: bool) -> str:
        if not own_sandbox and not container.extra_hosts:
            return self.around.facts.etc_hosts or STANDARD_HOSTS
        extra = "".join(
            f"{address}\t{name}\n"
            for name, given in container.extra_hosts
            for address in (self._host_gateways if given == HOST_GATEWAY else (given,))
        )
        if not own_sandbox:
            return STANDARD_HOSTS + extra
        links = "".join(link_host_lines(container, self.around)) if container.links else ""
        return STANDARD_HOSTS + extra + links + self._own_lines(container) + self._neighbour_lines(container)

    @cached_property
    def _host_gateways(self) -> tuple[str, ...]:
        """What ``host-gateway`` stands for: the host's own addresses on the default bridge, as in Docker."""
        default = next((network for network in self.around.networks.values() if is_default(network)), None)
        subnets = default.subnets if default is not None else ()
        return tuple(str(subnet.gateway) for subnet in subnets if subnet.gateway is not None)

    def _own_lines(self, container: Container) -> str:
        names = _own_names(container)
        return "".join(f"{address}\t{names}\n" for endpoint in container.endpoints for address in _addresses(endpoint))

    def _neighbour_lines(self, container: Container) -> str:
        """While no DNS server answers for a user-defined network, its containers find each other here."""
        if self.around.settings.embedded_dns:
            return ""
        mine = [self.around.networks[endpoint.network_id] for endpoint in container.endpoints]
        shared = "".join(self._names_on(network) for network in mine if not is_default(network))
        return shared + self._linked_neighbours(container, mine) if shared else ""

    def _names_on(self, network: Network) -> str:
        """One text for all containers of a network, themselves included: with many of them, one text each would be too many."""
        if network.id not in self._neighbours:
            self._neighbours[network.id] = "".join(
                f"{address}\t{' '.join(dict.fromkeys((other.name, *endpoint.aliases)))}\n"
                for other, endpoint in self._members.get(network.id, ())
                for address in _addresses(endpoint)
            )
        return self._neighbours[network.id]

    @cached_property
    def _members(self) -> dict[str, list[tuple[Container, Endpoint]]]:
        """The live endpoints of each network, in the order in which their containers were started."""
        members: dict[str, list[tuple[Container, Endpoint]]] = {}
        for container in self.around.live:
            for endpoint in container.endpoints:
                members.setdefault(endpoint.network_id, []).append((container, endpoint))
        return members

    def _linked_neighbours(self, container: Container, mine: list[Network]) -> str:
        """A link on a user-defined network is another name for a neighbour."""
        aliases = {link.source_id: link.alias for link in container.links}
        if not aliases:
            return ""
        return "".join(
            f"{address}\t{aliases[other.id]}\n"
            for network in mine
            if not is_default(network)
            for other, endpoint in self._members.get(network.id, ())
            if other.id in aliases
            for address in _addresses(endpoint)
        )

    def _resolv_conf(self, container: Container, own_sandbox: bool) -> str:
        nameservers = container.dns or (self.around.settings.dns if own_sandbox else ())
        chosen = bool(nameservers or container.dns_search or container.dns_options)
        if not own_sandbox and not chosen:
            return self.around.facts.resolv_conf
        if not chosen and not self._asks_embedded(container):
            return self._copied_with_ipv6 if _has_ipv6(container) else self._copied
        host = self._host_resolv
        search = container.dns_search or host.search
        options = container.dns_options or host.options
        if self._asks_embedded(container):
            nameservers = (EMBEDDED_DNS,)
            if not has_ndots(options):
                options = (*options, "ndots:0")
        return _build(search, nameservers or self._reachable(_has_ipv6(container)), options)

    def _asks_embedded(self, container: Container) -> bool:
        return not container.adopted_path and bool(named_endpoints(container, self.around))

    @cached_property
    def _host_resolv(self) -> Resolv:
        return Resolv(self.around.facts.resolv_conf)

    @cached_property
    def _copied(self) -> str:
        return self._copy(ipv6=False)

    @cached_property
    def _copied_with_ipv6(self) -> str:
        return self._copy(ipv6=True)

    def _copy(self, ipv6: bool) -> str:
        """The host's file, line by line, without servers that a sandbox cannot reach."""
        reachable = self._reachable(ipv6)
        kept, named = [], False
        for line in self.around.facts.resolv_conf.splitlines(keepends=True):
            words = line.split()
            if words[:1] == ["nameserver"]:
                if len(words) < 2 or words[1] not in reachable:
                    continue
                named = True
            kept.append(line)
        text = "".join(kept)
        if text and not text.endswith("\n"):
            text += "\n"
        return text if named else text + "".join(f"nameserver {server}\n" for server in reachable)

    def _reachable(self, ipv6: bool) -> tuple[str, ...]:
        """The host's servers, else those it was seen to use, else public ones."""
        for servers in (self._host_resolv.nameservers, self.around.facts.nameservers):
            usable = tuple(server for server in servers if _is_usable(server, ipv6))
            if usable:
                return usable
        return PUBLIC_NAMESERVERS


def _build(search: tuple[str, ...], nameservers: tuple[str, ...], options: tuple[str, ...]) -> str:
    """Docker's own order. A lone dot as the search list means: none."""
    lines = []
    if search and search != (".",):
        lines.append(f"search {' '.join(search)}\n")
    lines += [f"nameserver {server}\n" for server in nameservers]
    if options:
        lines.append(f"options {' '.join(options)}\n")
    return "".join(lines)


def _is_usable(server: str, ipv6: bool) -> bool:
    try:
        address = ip_address(server.partition("%")[0])
    except ValueError:
        return False
    return not address.is_loopback and (ipv6 or address.version == 4)


def _file(container: Container, name: str, content: str, reason: str) -> EtcFile:
    return EtcFile(
        container_id=container.id,
        name=name,
        content=content,
        owner=Owner(kind="container", id=container.id, name=container.name),
        why=Text.of(reason, container=container.name),
    )


def _has_ipv6(container: Container) -> bool:
    return any(endpoint.ipv6 is not None for endpoint in container.endpoints)


def _own_names(container: Container) -> str:
    """``host.domain host`` where a domain is known, else the host name alone."""
    full = container.hostname or short(container.id)
    if container.domainname:
        full = f"{full}.{container.domainname}"
    first, dot, _ = full.partition(".")
    return f"{full} {first}" if dot else full


def _addresses(endpoint: Endpoint) -> Iterator[str]:
    if endpoint.ipv4 is not None:
        yield str(endpoint.ipv4.ip)
    if endpoint.ipv6 is not None:
        yield str(endpoint.ipv6.ip)
