"""The three files of a container: hosts, hostname and resolv.conf, as Docker writes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from ipaddress import ip_address

from networks.cnm.desired import Container
from networks.cnm.etc_text import lines_of
from networks.cnm.names import short
from networks.cnm.resources import EtcFile, EtcLine, Owner
from networks.cnm.text import Text, gettext_noop
from worker.drivers import Surroundings

from .hosts import HostsFiles
from .names import EMBEDDED_DNS, PUBLIC_NAMESERVERS, Resolv, has_ndots, named_endpoints

_HOSTNAME = gettext_noop("The name that container {container} calls itself.")
_RESOLV_CONF = gettext_noop("The name servers that container {container} asks.")
_CHOSEN = gettext_noop("Chosen when container {container} was made.")
_SHORT_ID = gettext_noop("The short id of container {container}, for no name was chosen.")
_HOST_NAME = gettext_noop("The host's own name, for the container is on the host's network.")
_EMBEDDED = gettext_noop(
    "The embedded DNS server: it knows who is on the networks of container {container}, and asks others."
)
_FOR_ALL = gettext_noop("Set for every container of this host (CNM_DNS).")
_FROM_HOST = gettext_noop("From the host's own file, without name servers that a sandbox cannot reach.")
_AS_HOST = gettext_noop("As in the host's own file.")
_FALLBACK = gettext_noop("A public name server, for the host names none that a sandbox could reach.")
_NDOTS = gettext_noop(
    "The host's own options, and ndots:0: the embedded DNS server is asked names without a dot as they are."
)


class Files:
    """Writes the files of a host's containers; what all of them share is made once."""

    def __init__(self, around: Surroundings) -> None:
        self.around = around
        self.hosts = HostsFiles(around)

    def hostname(self, container: Container, own_sandbox: bool) -> EtcFile:
        """``/etc/hostname``: the name that was chosen, else the container's short id, else the host's."""
        if container.hostname:
            name, origin, why = container.hostname, "given", _CHOSEN
        elif own_sandbox:
            name, origin, why = short(container.id), "own", _SHORT_ID
        else:
            name, origin, why = self.around.facts.hostname, "host", _HOST_NAME
        return _file(container, "hostname", f"{name}\n", _HOSTNAME, lambda _: (origin, why), self.around.owner)

    def resolv_conf(self, container: Container, own_sandbox: bool) -> EtcFile:
        """``/etc/resolv.conf``: the container's choice, else the host's, without servers that a sandbox cannot reach."""
        text = self._resolv_conf(container, own_sandbox)

        def explain(line: str) -> tuple[str, str]:
            return self._reason(container, line, own_sandbox)

        file = _file(container, "resolv.conf", text, _RESOLV_CONF, explain, self.around.owner)
        return replace(file, run=container.run)

    def _reason(self, container: Container, line: str, own_sandbox: bool) -> tuple[str, str]:
        """Where a line of a resolv.conf comes from, and why it stands there."""
        word, *values = line.split() or [""]
        chosen = {"search": container.dns_search, "options": container.dns_options, "nameserver": container.dns}
        if word == "nameserver" and self._asks_embedded(container):
            return "own", _EMBEDDED
        if chosen.get(word):
            return "given", _CHOSEN
        if word == "nameserver" and own_sandbox and self.around.settings.dns:
            return "host", _FOR_ALL
        if word == "nameserver" and not {*values} & {*self._host_resolv.nameservers, *self.around.facts.nameservers}:
            return "own", _FALLBACK
        if word == "options" and values[-1:] == ["ndots:0"]:
            return "own", _NDOTS
        return "host", _FROM_HOST if word == "nameserver" and own_sandbox else _AS_HOST

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


def _file(
    container: Container,
    name: str,
    content: str,
    reason: str,
    explain: Callable[[str], tuple[str, str]],
    host: Owner,
) -> EtcFile:
    """The file of that *content*; *explain* tells of each line its origin and why it stands there."""
    owner = Owner(kind="container", id=container.id, name=container.name)
    lines = []
    for text in lines_of(content):
        origin, why = explain(text)
        belongs = host if origin == "host" else owner
        lines.append(EtcLine(text=text, origin=origin, owner=belongs, why=Text.of(why, container=container.name)))
    return EtcFile(
        container_id=container.id,
        name=name,
        content=content,
        lines=tuple(lines),
        owner=owner,
        why=Text.of(reason, container=container.name),
    )


def _has_ipv6(container: Container) -> bool:
    return any(endpoint.ipv6 is not None for endpoint in container.endpoints)
