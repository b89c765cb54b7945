"""What systemd is told: a unit for each process, and the folders that vanish at a reboot. Pure text.

Settings stand in none of them: a unit may be read by everybody, ``/etc/cnm/cnm.env`` by root alone.
"""

from __future__ import annotations

from pathlib import Path

from configuration import BASE, configuration
from layout import CONFIG, CURRENT, RUN, STATE, USER
from processes import Program, bootstrap, programs

_RULES = "nftables.service netfilter-persistent.service firewalld.service ufw.service"
"""They load rules at boot, and some flush what stands there: ours come after."""
_DOCKER = "docker.service"
"""So does a Docker Engine; unless it has networks of ours, for then its containers need us."""


def files() -> dict[str, str]:
    """Path -> text of everything that is written for systemd."""
    made = {f"/etc/systemd/system/{unit_name(program.name)}": unit_text(program) for program in programs()}
    return {
        **made,
        f"/etc/systemd/system/{unit_name('bootstrap')}": unit_text(bootstrap()),
        "/etc/tmpfiles.d/cnm.conf": tmpfiles_text(),
    }


def folders() -> list[tuple[Path, int, str]]:
    """Folder, mode and owner of what is gone after a reboot; the group is the product's own."""
    return [(RUN, 0o755, "root"), (RUN / "redis", 0o700, USER), *((folder, 0o755, USER) for folder in plugin_folders())]


def plugin_folders() -> list[Path]:
    """The folder of the socket at which a Docker Engine is offered our networks, where it is a folder of its own (``NAME/NAME.sock``)."""
    socket = Path(configuration().get("CNM_DOCKER_PLUGIN") or "/")
    return [socket.parent] if socket.parent.name == socket.stem else []


def unit_name(name: str) -> str:
    return f"cnm-{name}.service"


def tmpfiles_text() -> str:
    """tmpfiles.d(5): makes the folders at each boot, before any of our processes starts."""
    lines = [f"d {folder} {mode:04o} {owner} {USER} -" for folder, mode, owner in folders()]
    return "\n".join(["# Made by CNM Web's installer.", *lines, ""])


def unit_text(program: Program) -> str:
    """The unit of a process. What root runs keeps the host's mount namespace: sandboxes are mounted there."""
    once = program.name == "bootstrap"
    lines = [
        "[Unit]",
        f"Description=CNM Web: {_literal(program.description)}",
        *_order(program),
        "StartLimitIntervalSec=0",
        "",
        "[Service]",
        *(["Type=oneshot", "RemainAfterExit=yes", "Restart=on-failure"] if once else ["Restart=always"]),
        "RestartSec=2",
        f"User={program.user}",
        f"WorkingDirectory={CURRENT}",
        *(f"Environment={_quoted(f'{name}={value}')}" for name, value in sorted(BASE.items())),
        f"EnvironmentFile={CONFIG}",
        "ExecStart=" + " ".join(_word(word) for word in program.command),
        "TimeoutStopSec=30",
        *_rights(program),
        "",
        "[Install]",
        "WantedBy=multi-user.target",
        "",
    ]
    return "\n".join(lines)


def _rights(program: Program) -> tuple[str, ...]:
    if program.becomes:
        return (
            *_CONFINED,
            *_BECOMING,
            " ".join([f"ReadWritePaths={RUN}", *(f"-{folder}" for folder in plugin_folders())]),
        )
    if program.name in _NARROW:
        return (*_ROOT, *_NARROWED, f"CapabilityBoundingSet={_NARROW[program.name]}", f"ReadWritePaths={RUN}")
    return _ROOT if program.user == "root" else _CONFINED


_NARROW = {
    "holder": "CAP_NET_BIND_SERVICE",
    "dns": "CAP_NET_ADMIN CAP_SYS_ADMIN CAP_SETUID CAP_SETGID CAP_KILL",
    "monitor": "CAP_NET_ADMIN CAP_NET_BROADCAST CAP_NET_RAW CAP_DAC_OVERRIDE",
}
"""What those of root's processes need that neither mount nor start a container; docker-compose.yml gives them the same. What is mounted
on the host later is seen in their own mount namespaces too. No filter of system calls: systemd 255 would take CAP_SYS_ADMIN away."""
_NARROWED = ("NoNewPrivileges=yes", "ProtectSystem=strict", "ProtectHome=yes", "PrivateTmp=yes")
_ROOT = ("KillMode=process", "OOMPolicy=continue", "Delegate=yes")
_CONFINED = (
    "NoNewPrivileges=yes",
    "CapabilityBoundingSet=",
    "ProtectSystem=strict",
    "ProtectHome=yes",
    "PrivateTmp=yes",
    "PrivateDevices=yes",
    f"ReadWritePaths=-{RUN}/redis -{STATE}/db -{STATE}/uploads",
    "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
)
_BECOMING = (
    "CapabilityBoundingSet=CAP_CHOWN CAP_SETUID CAP_SETGID CAP_DAC_READ_SEARCH",
    # systemd 255 (Ubuntu 24.04) takes this one away after it has set the filters of system calls, unless it is ambient too.
    "AmbientCapabilities=CAP_SETUID",
)
"""What a process needs that makes a socket in our folder, reads our key, and becomes another user: it has none of it from then on."""


def _order(program: Program) -> list[str]:
    """Nothing is required: what starts without the other waits for it, and says so."""
    rules = _RULES if plugin_folders() else f"{_RULES} {_DOCKER}"
    before = {
        "redis": "network.target",
        "holder": "network.target",
        "dns": "network.target",
        "bootstrap": f"network-online.target postgresql.service {unit_name('redis')} {rules}",
        "kernel": " ".join(unit_name(name) for name in ("bootstrap", "redis", "holder", "dns")) + f" {rules}",
    }.get(program.name, " ".join(unit_name(name) for name in ("bootstrap", "redis")))
    online = ["Wants=network-online.target"] if program.name == "bootstrap" else []
    first = [f"Before={_DOCKER}"] if plugin_folders() and program.name in {"kernel", "engine"} else []
    return [f"After={before}", *first, *online]


def _literal(text: str) -> str:
    """systemd fills in what follows a percent sign."""
    return text.replace("%", "%%")


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{_literal(escaped)}"'


def _word(word: str) -> str:
    """One word of a command line, in which ``$`` names a variable, too."""
    plain = word and all(character.isalnum() or character in "/._-@:+=,[]" for character in word)
    return word if plain else _quoted(word).replace("$", "$$")
