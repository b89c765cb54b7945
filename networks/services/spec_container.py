"""What may be asked of a container."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from networks.cnm.addresses import AnyAddress
from networks.cnm.health import HealthCheck
from networks.cnm.names import HOST_GATEWAY, HOST_LABEL, OBJECT_NAME
from networks.cnm.options import DOCKERS_OWN, ENDPOINT_KEYS, read_endpoint_options
from networks.cnm.signals import NUMBERS
from networks.cnm.text import Text, gettext_noop

from .body import Body, address_value, bad, text_value
from .spec_network import NAME_WANTED
from .spec_ports import PortRequest, read_exposed, read_port

KINDS = ("process", "sandbox", "adopted")
LONGEST_STOP_S = 3600
"""How long a process may be given to end."""
SHARED_MODES = ("host", "none")
LONGEST_CHECK_S = 24 * 3600
"""Of the times of a health check."""
RESTART_POLICIES = ("no", "on-failure", "always", "unless-stopped")
_ENV_NAME = re.compile(r"[^=\x00]+\Z")
_IMAGE = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.:/@-]{0,254}\Z")
_TMPFS_OPTION = re.compile(r"(size=\d+[kKmMgG%]?|nr_inodes=\d+[kKmMgG]?|mode=[0-7]{1,5}|uid=\d{1,10}|gid=\d{1,10})\Z")
_TMPFS_FLAGS = ("defaults", "ro", "rw", "exec", "noexec", "suid", "nosuid", "nodev")


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachRequest:
    """One attachment to a network."""

    network: str = ""
    ipv4: AnyAddress | None = None
    ipv6: AnyAddress | None = None
    mac: str = ""
    aliases: tuple[str, ...] = ()
    driver_opts: Mapping[str, str] = field(default_factory=dict)
    gw_priority: int = 0


STORED_PLAIN = (
    "publish_all",
    "hostname",
    "domainname",
    "user",
    "working_dir",
    "tty",
    "open_stdin",
    "stdin_once",
    "init",
    "stop_signal",
    "stop_timeout",
    "memory",
    "cpus",
    "pids_limit",
)
"""Fields of a request that a container's row keeps in ``spec`` as they are: one value each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerRequest:
    """A container that is asked for."""

    name: str = ""
    kind: str = "process"
    image: str = "host"
    command: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    network: str = "bridge"
    networks: tuple[AttachRequest, ...] = ()
    ipv4: AnyAddress | None = None
    ipv6: AnyAddress | None = None
    mac: str = ""
    aliases: tuple[str, ...] = ()
    driver_opts: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[PortRequest, ...] = ()
    publish_all: bool = False
    exposed_ports: tuple[tuple[int, str], ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    """(source, alias); an empty alias means the source's name."""
    hostname: str = ""
    domainname: str = ""
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    extra_hosts: tuple[tuple[str, str], ...] = ()
    user: str = ""
    working_dir: str = ""
    tty: bool = False
    open_stdin: bool = False
    stdin_once: bool = False
    """Whether its input ends with the first one who was connected to it."""
    init: bool = False
    """Whether an init of the host's reaps its orphans and passes signals on to its command."""
    restart_policy: str = "no"
    restart_max: int = 0
    stop_signal: str = ""
    """Empty: the image's own, else SIGTERM."""
    stop_timeout: int = 10
    healthcheck: Mapping[str, Any] = field(default_factory=dict)
    """The fields of a :class:`networks.cnm.health.HealthCheck`; empty: it has none."""
    memory: int = 0
    cpus: float = 0.0
    pids_limit: int = 0
    binds: tuple[str, ...] = ()
    tmpfs: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    auto_remove: bool = False
    adopt_path: str = ""
    adopt_pid: int = 0
    start: bool = True

    def stored(self) -> dict[str, Any]:
        """What the container's row keeps of it in ``spec``: the fields that no column or row of their own holds."""
        kept = (
            *STORED_PLAIN,
            "command",
            "entrypoint",
            "env",
            "dns",
            "dns_search",
            "dns_options",
            "extra_hosts",
            "binds",
            "tmpfs",
            "exposed_ports",
            "healthcheck",
        )
        value = asdict(self)
        return {name: value[name] for name in kept}


def attachments_of(request: ContainerRequest) -> list[tuple[str, AttachRequest]]:
    """What to attach to, each with what stands before its fields' names in the request."""
    if request.network in SHARED_MODES or request.network.startswith("container:"):
        return []
    first = AttachRequest(
        network=request.network,
        ipv4=request.ipv4,
        ipv6=request.ipv6,
        mac=request.mac,
        aliases=request.aliases,
        driver_opts=request.driver_opts,
    )
    listed = [(f"networks.{number}.", attach) for number, attach in enumerate(request.networks)]
    named = [item for item in listed if item[1].network != request.network]
    again = next((item for item in listed if item[1].network == request.network), None)
    # `networks` alone means just those: the default bridge is not added unasked.
    return [*([again or ("", first)] if request.network != "bridge" or not named or again else []), *named]


def read_container(value: object, path: str = "") -> ContainerRequest:
    """A request to run a container. Raises :class:`InvalidSpec` naming the field."""
    body = Body(value, path)
    policy = _policy(body)
    adopt_path, adopt_pid = _adopt(body)
    request = ContainerRequest(
        name=body.text("name", "", pattern=OBJECT_NAME, wanted=NAME_WANTED, most=128),
        kind=body.choice("kind", "process", KINDS),
        image=body.text("image", "host", pattern=_IMAGE, wanted=gettext_noop("an image name such as web:1")),
        command=_command(body, "command") or (),
        entrypoint=_command(body, "entrypoint"),
        env=_env(body),
        network=body.text("network", "bridge", most=160),
        networks=body.each("networks", read_attach, most=64),
        ports=tuple(port for ports in body.each("ports", read_port) for port in ports),
        publish_all=body.flag("publish_all"),
        exposed_ports=tuple(sorted({p for ports in body.each("exposed_ports", read_exposed) for p in ports})),
        links=body.each("links", _link, most=64),
        hostname=_hostname(body, "hostname"),
        domainname=_hostname(body, "domainname"),
        dns=body.each("dns", lambda field, item: str(address_value(field, item)), most=16),
        dns_search=body.texts("dns_search", most=32, longest=253),
        dns_options=body.texts("dns_options", most=32, longest=64),
        extra_hosts=body.each("extra_hosts", _extra_host, most=256),
        user=body.text("user", "", most=64),
        working_dir=_path(body, "working_dir"),
        tty=body.flag("tty"),
        open_stdin=body.flag("open_stdin"),
        stdin_once=body.flag("stdin_once"),
        init=body.flag("init"),
        restart_policy=policy[0],
        restart_max=policy[1],
        stop_signal=_stop_signal(body),
        stop_timeout=body.integer("stop_timeout", 10, most=LONGEST_STOP_S),
        healthcheck=_healthcheck(body),
        memory=body.integer("memory", 0, most=2**50),
        cpus=body.number("cpus", 0.0, most=1024),
        pids_limit=body.integer("pids_limit", 0, most=2**22),
        binds=body.each("binds", _bind, most=64),
        tmpfs=body.each("tmpfs", _tmpfs, most=64),
        labels=body.mapping("labels", most=256),
        auto_remove=body.flag("auto_remove"),
        adopt_path=adopt_path,
        adopt_pid=adopt_pid,
        start=body.flag("start", True),
        **_first_attachment(body),
    )
    body.finish()
    return _checked(request, body)


def read_attach(path: str, value: object) -> AttachRequest:
    """One attachment: a network's name, or an object with its addresses and aliases."""
    if isinstance(value, str):
        return AttachRequest(network=text_value(path, value, most=160))
    body = Body(value, path)
    request = AttachRequest(
        network=body.text("network", most=160),
        gw_priority=body.integer("gw_priority", 0, least=-(2**31), most=2**31 - 1),
        **_first_attachment(body),
    )
    body.finish()
    return request


def read_timeout(body: Body) -> int | None:
    """``timeout``: the seconds that a process has to end; None: what the container was made with."""
    value = body.integer("timeout", -1, least=-1, most=LONGEST_STOP_S)
    return None if value < 0 else value


def read_signal(field: str, value: object) -> str:
    """``SIGTERM``, ``TERM`` or ``15`` as ``SIGTERM``."""
    text = text_value(field, str(value) if isinstance(value, int) else value, most=16).upper()
    if text.isdigit() and int(text) in NUMBERS.values():
        return next(name for name, number in NUMBERS.items() if number == int(text))
    name = text if text.startswith("SIG") else f"SIG{text}"
    if name not in NUMBERS:
        raise bad(
            field,
            gettext_noop("{value} is not a signal."),
            gettext_noop("Give a name such as SIGTERM."),
            value=repr(value),
        )
    return name


def _healthcheck(body: Body) -> dict[str, Any]:
    """``{"test": ["CMD", "true"], "interval": 30, …}`` with times in seconds; a line of shell stands for ``CMD-SHELL``."""
    if not body.take("healthcheck", {}):
        return {}
    check = Body(body.take("healthcheck"), body.field("healthcheck"))
    given = check.take("test")
    test = (
        ("CMD-SHELL", text_value(check.field("test"), given))
        if isinstance(given, str)
        else check.texts("test", most=1024)
    )
    if test == ("NONE",):
        return {}
    if len(test) < 2 or test[0] not in {"CMD", "CMD-SHELL"} or (test[0] == "CMD-SHELL" and len(test) > 2):
        raise bad(
            check.field("test"),
            gettext_noop(
                "A health check begins with CMD and has the words of a command, or with CMD-SHELL and has one line."
            ),
            gettext_noop('Give ["CMD", "curl", "-f", "http://localhost/"], say.'),
        )
    plain = HealthCheck(test=test)
    found: dict[str, Any] = {"test": list(test)}
    for name in ("interval", "timeout", "start_period", "start_interval"):
        found[name] = check.number(name, 0.0, most=LONGEST_CHECK_S) or getattr(plain, name)
    found["retries"] = check.integer("retries", 0, most=10**6) or plain.retries
    check.finish()
    return found


def _stop_signal(body: Body) -> str:
    given = body.take("stop_signal", "")
    return read_signal(body.field("stop_signal"), given) if given != "" else ""


def _first_attachment(body: Body) -> dict[str, Any]:
    return {
        "ipv4": body.address("ipv4", 4),
        "ipv6": body.address("ipv6", 6),
        "mac": body.mac("mac"),
        "aliases": body.each("aliases", _alias, most=64),
        "driver_opts": _driver_opts(body),
    }


def _driver_opts(body: Body) -> dict[str, str]:
    """What a driver of ours has no option for may be a plugin's: that is judged where the network is known."""
    options = body.mapping("driver_opts", most=16)
    own = {key: value for key, value in options.items() if key.startswith(DOCKERS_OWN) or key in ENDPOINT_KEYS}
    read_endpoint_options(own, body.field("driver_opts"))
    return options


def _alias(field: str, value: object) -> str:
    return text_value(field, value, pattern=OBJECT_NAME, wanted=NAME_WANTED, most=128)


def _command(body: Body, name: str) -> tuple[str, ...] | None:
    value = body.take(name, None)
    if value is None:
        return None
    if isinstance(value, str):
        raise bad(
            body.field(name),
            gettext_noop("{name} is a list of words."),
            gettext_noop('Give a JSON list such as ["sleep", "1000"].'),
            name=name,
        )
    return body.texts(name, most=1024, longest=131072)


def _env(body: Body) -> dict[str, str]:
    value = body.take("env", {})
    if isinstance(value, list):
        pairs = [text_value(field, item, most=131072).partition("=") for field, item in body.items("env")]
        env = {name: text for name, _, text in pairs}
    else:
        env = body.mapping("env", most=4096, longest=131072)
    for name in env:
        if not _ENV_NAME.match(name):
            raise bad(
                f"{body.field('env')}.{name}",
                gettext_noop("{name} is not the name of a variable."),
                gettext_noop("Give a name without an equals sign."),
                name=repr(name),
            )
    return env


def _policy(body: Body) -> tuple[str, int]:
    value = body.take("restart_policy", {})
    if isinstance(value, str):
        name, _, count = value.partition(":")
        value = {"name": name, **({"max_retries": int(count)} if count.isascii() and count.isdigit() else {})}
    policy = Body(value, body.field("restart_policy"))
    name = policy.choice("name", "no", RESTART_POLICIES)
    most = policy.integer("max_retries", 0, most=10**6)
    policy.finish()
    if most and name != "on-failure":
        raise bad(
            policy.field("max_retries"),
            gettext_noop("Only the policy on-failure counts its tries."),
            gettext_noop("Leave max_retries out."),
        )
    return name, most


def _adopt(body: Body) -> tuple[str, int]:
    adopt = Body(body.take("adopt", {}), body.field("adopt"))
    path, pid = _path(adopt, "path"), adopt.integer("pid", 0, most=2**22)
    adopt.finish()
    return path, pid


def _path(body: Body, name: str) -> str:
    value = body.text(name, "")
    if value and (not value.startswith("/") or ".." in value.split("/")):
        raise bad(
            body.field(name),
            gettext_noop("{value} is not an absolute path."),
            gettext_noop("Give a path that starts with a slash and has no '..'."),
            value=repr(value),
        )
    return value


def _hostname(body: Body, name: str) -> str:
    value = body.text(name, "", most=253)
    if value and not all(HOST_LABEL.match(label) for label in value.split(".")):
        raise bad(
            body.field(name),
            gettext_noop("{value} is not a host name."),
            gettext_noop("Give letters, digits and dashes, in parts of at most 63, separated by dots."),
            value=repr(value),
        )
    return value


def _link(field: str, value: object) -> tuple[str, str]:
    source, _, alias = text_value(field, value, most=260).partition(":")
    text_value(field, source, pattern=OBJECT_NAME, wanted=NAME_WANTED)
    return source, text_value(field, alias, pattern=OBJECT_NAME, wanted=NAME_WANTED) if alias else ""


def _extra_host(field: str, value: object) -> tuple[str, str]:
    name, found, address = text_value(field, value, most=300).partition(":")
    if not found or not name or not all(HOST_LABEL.match(label) for label in name.split(".")):
        raise bad(
            field,
            gettext_noop("{value} is not a name and an address."),
            gettext_noop("Write name:address, such as db.example:10.0.0.5."),
            value=repr(value),
        )
    return name, address if address == HOST_GATEWAY else str(address_value(field, address))


def _bind(field: str, value: object) -> str:
    parts = text_value(field, value).split(":")
    paths, mode = parts[:2], parts[2:]
    sound = len(parts) in {2, 3} and mode in ([], ["ro"], ["rw"])
    named = bool(OBJECT_NAME.match(parts[0]))
    if not sound or not all(path.startswith("/") and ".." not in path.split("/") for path in paths[named:]):
        raise bad(
            field,
            gettext_noop("{value} is not a bind mount."),
            gettext_noop(
                "Write host-folder:container-folder[:ro] with absolute paths, or the name of a volume in place of the first."
            ),
            value=repr(value),
        )
    if named:
        return ":".join(parts)
    return ":".join(("/" + posixpath.normpath(parts[0]).lstrip("/"), *parts[1:]))


def _tmpfs(field: str, value: object) -> str:
    path, _, options = text_value(field, value, most=1024).partition(":")
    if not path.startswith("/") or ".." in path.split("/") or posixpath.normpath(path) == "/":
        raise bad(
            field,
            gettext_noop("{value} is no folder in memory."),
            gettext_noop("Write container-folder[:options], such as /run:size=64m,mode=1777, with an absolute path."),
            value=repr(value),
        )
    given = [option for option in options.split(",") if option]
    for option in given:
        if option not in _TMPFS_FLAGS and not _TMPFS_OPTION.match(option):
            raise bad(
                field,
                gettext_noop("A folder in memory knows no option {option}."),
                gettext_noop("Give size, mode, uid, gid, nr_inodes, ro, rw, exec, noexec, suid or nosuid."),
                option=option,
            )
    path = "/" + posixpath.normpath(path).lstrip("/")
    return f"{path}:{','.join(given)}" if given else path


def _checked(request: ContainerRequest, body: Body) -> ContainerRequest:
    mode = request.network
    shares = mode.startswith("container:")
    conflicts = (
        ((shares or mode in {"host", "none"}) and request.driver_opts, "driver_opts", gettext_noop("endpoint options")),
        ((shares or mode in {"host", "none"}) and request.ipv4, "ipv4", gettext_noop("a chosen address")),
        ((shares or mode in {"host", "none"}) and request.ipv6, "ipv6", gettext_noop("a chosen address")),
        ((shares or mode in {"host", "none"}) and request.aliases, "aliases", gettext_noop("network-scoped aliases")),
        (shares and request.hostname, "hostname", gettext_noop("the hostname")),
        (shares and request.ports, "ports", gettext_noop("published ports")),
        (shares and (request.dns or request.dns_search or request.dns_options), "dns", gettext_noop("DNS settings")),
        (shares and request.extra_hosts, "extra_hosts", gettext_noop("extra hosts")),
        ((shares or mode == "host") and request.links, "links", gettext_noop("links")),
        ((shares or mode in {"host", "none"}) and request.networks, "networks", gettext_noop("further networks")),
        ((shares or mode == "host") and request.mac, "mac", gettext_noop("a MAC address")),
        (request.kind != "process" and request.command, "command", gettext_noop("a command")),
        (request.kind != "process" and (shares or mode == "host"), "network", gettext_noop("somebody else's sandbox")),
    )
    for conflict, name, what in conflicts:
        if conflict:
            raise bad(
                body.field(name),
                gettext_noop("Conflicting options: {what} and {with_what}."),
                gettext_noop("Leave one of the two out."),
                what=Text(what),
                with_what=f"kind {request.kind}" if request.kind != "process" else f"network {mode}",
            )
    if (request.kind == "adopted") != bool(request.adopt_path or request.adopt_pid):
        raise bad(
            body.field("adopt"),
            gettext_noop("An adopted container, and only one, names what it adopts."),
            gettext_noop("Give adopt.path or adopt.pid with kind adopted."),
        )
    if request.auto_remove and request.restart_policy != "no":
        raise bad(
            body.field("auto_remove"),
            gettext_noop("A container that is removed at its end cannot restart."),
            gettext_noop("Leave auto_remove or restart_policy out."),
        )
    return request
