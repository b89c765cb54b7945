"""Rules of other programs on a host: hand-written ones as real programs leave them, and random ones. As commands."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from worker.firewall.flavour import NFT
from worker.firewall.iptables import FLAVOURS


@dataclass(frozen=True, slots=True)
class Foreign:
    """What somebody else did: iptables command lines (program first), and nft's own language."""

    name: str
    lines: tuple[str, ...] = ()
    nft: str = ""

    def apply(self) -> None:
        for line in self.lines:
            subprocess.run(line.split(), check=True, timeout=20, capture_output=True)
        if self.nft:
            subprocess.run(["nft", "-f", "-"], input=self.nft, text=True, check=True, timeout=20, capture_output=True)


def hand(flavour: str) -> str:
    """The iptables that an admin of such a host types: where ours are written through nftables, that of nf_tables."""
    return flavour if flavour in FLAVOURS else NFT


def other(flavour: str) -> str:
    return next(name for name in FLAVOURS if name != hand(flavour))


def hand_written(flavour: str) -> tuple[Foreign, ...]:
    """*flavour* is the one that ours are written in."""
    mine, theirs = hand(flavour), other(flavour)
    user = f"{mine} -A {'CNM-USER' if flavour == mine else 'FORWARD'}"
    return (
        Foreign("nobody"),
        Foreign(
            "docker-in-the-other-flavour",
            (
                f"{theirs} -P FORWARD DROP",
                f"{theirs} -A FORWARD -o br-000000000003 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
                f"{theirs} -A FORWARD -i br-000000000003 ! -o br-000000000003 -j ACCEPT",
                f"{theirs} -t nat -A POSTROUTING -s 172.31.0.0/24 ! -o br-000000000004 -j MASQUERADE",
            ),
        ),
        Foreign(
            "ufw",
            (
                f"{mine} -N ufw-before-input",
                f"{mine} -A ufw-before-input -i lo -j ACCEPT",
                f"{mine} -A ufw-before-input -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
                f"{mine} -A ufw-before-input -m conntrack --ctstate INVALID -j DROP",
                f"{mine} -A ufw-before-input -p tcp -m multiport --dports 22,9090 -j ACCEPT",
                f"{mine} -A INPUT -j ufw-before-input",
                f"{mine} -P INPUT DROP",
            ),
        ),
        Foreign(
            "marks-and-rejects",
            (
                f"{mine} -t mangle -A PREROUTING -s 172.30.0.3 -j MARK --set-xmark 0x10/0xff",
                f"{mine} -I FORWARD -m mark --mark 0x10/0xf0 -p udp -j REJECT",
                f"{theirs} -I FORWARD -m iprange --src-range 172.31.0.1-172.31.0.9 -j REJECT --reject-with tcp-reset -p tcp",
                f"{mine} -I OUTPUT -d 172.31.0.0/24 -p tcp --dport 80 -j REJECT",
                f"{mine} -t raw -A PREROUTING -p udp --dport 81 -j NOTRACK",
                f"{user} -s 192.0.2.200 -j DROP",
                f"{user} -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -s 172.30.0.2 -d 172.31.0.0/24 -j DROP",
            ),
        ),
        Foreign(
            "translations",
            (
                f"{mine} -t nat -A PREROUTING -p tcp --dport 9090 -m addrtype --dst-type LOCAL -j DNAT --to-destination 172.31.0.2:80",
                f"{theirs} -t nat -A OUTPUT -d 192.0.2.2 -p udp --dport 9090 -j REDIRECT --to-ports 8081",
                f"{mine} -t nat -A POSTROUTING -s 172.30.0.0/24 -d 172.31.0.0/24 -j SNAT --to-source 192.0.2.2",
            ),
        ),
        Foreign(
            "native",
            nft="""
            table inet guard {
              set shut { type inet_service; flags interval; elements = { 81, 8000-8070 } }
              map ways { type ifname . inet_service : verdict; elements = { "eth0" . 80 : jump closer, "eth0" . 9090 : drop } }
              chain closer { ip saddr 192.0.2.200 reject; ip daddr 172.31.0.0/24 goto last; return; }
              chain last { meta l4proto udp drop; }
              chain forward { type filter hook forward priority filter + 10; policy accept;
                ct state vmap { established : accept, related : accept, invalid : drop }
                iifname . tcp dport vmap @ways
                meta l4proto { tcp, udp } th dport @shut drop
                iifname "br-*" ip saddr . ip daddr { 172.30.0.3 . 172.31.0.2, 172.31.0.2 . 192.0.2.1 } reject with icmpx admin-prohibited
              }
              chain input { type filter hook input priority filter - 1; policy accept;
                iif lo accept
                ct state != new accept
                ip saddr 172.31.0.0/24 tcp dport >= 9000 drop
                fib daddr type != local drop
              }
              chain out { type filter hook output priority 0; policy accept;
                ip daddr 172.30.0.2 tcp dport != { 80, 81 } drop
                udp dport 80 ip daddr & 255.255.0.255 == 172.31.0.2 reject
              }
            }
            table ip turn {
              map doors { type ipv4_addr . inet_service : ipv4_addr . inet_service; elements = { 192.0.2.2 . 9090 : 172.30.0.3 . 80 } }
              chain pre { type nat hook prerouting priority dstnat - 5; policy accept;
                iifname "eth0" dnat to ip daddr . udp dport map @doors
              }
              chain post { type nat hook postrouting priority srcnat + 5; policy accept;
                ct status dnat ip daddr 172.30.0.3 masquerade
              }
            }
            """,
        ),
    )


_ADDRESSES = (
    "172.30.0.2",
    "172.30.0.3",
    "172.31.0.2",
    "172.30.0.0/24",
    "172.31.0.0/24",
    "192.0.2.1",
    "192.0.2.2",
    "192.0.2.0/24",
)
_DEVICES = ("br-000000000003", "br-000000000004", "br-+", "eth0", "lo", "eth+")


def random_foreign(dice: random.Random, mine: str, how_many: int) -> Foreign:
    """Rules that nobody would write, in both flavours and natively, made to be met by the packets of the lab."""
    lines = []
    for _ in range(how_many):
        program = hand(mine) if dice.random() < 0.6 else other(mine)
        lines.append(f"{program} {_random_rule(dice)}")
    return Foreign("random", tuple(lines), _random_nft(dice))


def _random_rule(dice: random.Random) -> str:
    kind = dice.random()
    matches = _random_matches(dice)
    if kind < 0.62:
        chain = dice.choice(("FORWARD", "FORWARD", "INPUT", "OUTPUT"))
        target = dice.choice(("ACCEPT", "DROP", "REJECT", "RETURN"))
        table = "filter" if target == "REJECT" else dice.choice(("filter", "filter", "mangle"))
        return f"-t {table} {dice.choice(('-I', '-A'))} {chain} {_fit(matches, chain)} -j {target}"
    if kind < 0.74:
        chain = dice.choice(("PREROUTING", "OUTPUT"))
        target = dice.choice(("DROP", "ACCEPT", "NOTRACK"))
        return f"-t raw -I {chain} {_fit(_stateless(matches), chain)} -j {target}"
    if kind < 0.86:
        chain = dice.choice(("PREROUTING", "FORWARD", "OUTPUT"))
        return f"-t mangle -A {chain} {_fit(matches, chain)} -j MARK --set-xmark {dice.choice(('0x1', '0x2/0x3', '0x10/0xf0'))}"
    if kind < 0.95:
        chain = dice.choice(("PREROUTING", "OUTPUT"))
        where = dice.choice(("172.30.0.2:80", "172.30.0.3", "172.31.0.2:80", "192.0.2.2:8081"))
        protocol = dice.choice(("tcp", "udp"))
        called = dice.choice((f"--dport {dice.choice((80, 9090, 8080))}", "--dport 9090"))
        return f"-t nat -I {chain} -p {protocol} -d {dice.choice(_ADDRESSES)} {called} -j DNAT --to-destination {where}"
    source = dice.choice(("172.30.0.0/24", "172.31.0.0/24", "192.0.2.0/24"))
    return f"-t nat -I POSTROUTING -s {source} -o {dice.choice(_DEVICES[:4])} -j MASQUERADE"


def _random_matches(dice: random.Random) -> list[str]:
    found = []
    protocol = dice.choice(("", "tcp", "udp"))
    if protocol:
        found.append(f"-p {protocol}")
        port = dice.choice(
            ("", "--dport 80", "! --dport 80", "--dport 80:81", "-m multiport --dports 80,8080", "--sport 80")
        )
        if port:
            found.append(port)
    for option in ("-s", "-d"):
        if dice.random() < 0.4:
            found.append(f"{'! ' if dice.random() < 0.25 else ''}{option} {dice.choice(_ADDRESSES)}")
    for option in ("-i", "-o"):
        if dice.random() < 0.3:
            found.append(f"{'! ' if dice.random() < 0.3 else ''}{option} {dice.choice(_DEVICES)}")
    if dice.random() < 0.3:
        state = dice.choice(("NEW", "ESTABLISHED", "RELATED,ESTABLISHED", "INVALID", "DNAT", "UNTRACKED"))
        found.append(f"-m conntrack {'! ' if dice.random() < 0.2 else ''}--ctstate {state}")
    if dice.random() < 0.15:
        found.append(f"-m addrtype --dst-type {dice.choice(('LOCAL', 'UNICAST'))}")
    if dice.random() < 0.15:
        found.append(f"-m mark --mark {dice.choice(('0x1', '0x2/0x2', '0x0/0xf0'))}")
    if dice.random() < 0.08:
        found.append(
            dice.choice(("-m limit --limit 1000/sec", "-m physdev --physdev-is-bridged", "-m comment --comment hello"))
        )
    return found


def _stateless(matches: Sequence[str]) -> list[str]:
    return [match for match in matches if "conntrack" not in match and "physdev" not in match]


def _fit(matches: Sequence[str], chain: str) -> str:
    """Without what iptables refuses in *chain*."""
    refused = {"INPUT": ("-o ",), "PREROUTING": ("-o ",), "OUTPUT": ("-i ",), "FORWARD": ()}[chain]
    kept = (
        [match for match in matches if not match.removeprefix("! ").startswith(refused)] if refused else list(matches)
    )
    if chain != "FORWARD":
        kept = [match for match in kept if "physdev" not in match]
    return " ".join(kept)


def _random_nft(dice: random.Random) -> str:
    if dice.random() < 0.4:
        return ""
    priority = dice.choice(("-10", "0", "5", "-160"))
    verdicts = ("accept", "drop", "reject", "return", "jump aside", "goto aside")
    conditions = (
        "ip saddr 172.30.0.0/24", "ip daddr != 172.31.0.0/24", "tcp dport { 80, 8080-8090 }", "udp dport 80",
        "ct state new", "ct state established,related", "iifname \"br-*\"", "oifname != \"eth0\"", "ct status dnat",
        "meta l4proto udp", "ip saddr . tcp dport { 172.30.0.2 . 80, 192.0.2.1 . 80 }", "fib daddr type local",
        "tcp sport 80 ct mark 0", "meta mark & 0x3 == 0x1", "ip6 daddr fd00:30::2", "ct direction reply",
    )  # fmt: skip

    def rules(how_many: int, allowed: Sequence[str]) -> str:
        made = []
        for _ in range(how_many):
            chosen = dice.sample(conditions, dice.choice((1, 1, 2)))
            if sum("tcp" in one or "udp" in one for one in chosen) > 1 or any("ip6" in one for one in chosen):
                chosen = chosen[:1]  # nft refuses a rule about two protocols, or both IP versions
            made.append(f"{' '.join(chosen)} {dice.choice(allowed)}")
        return "\n".join(made)

    return f"""
    table inet chance {{
      chain aside {{
        {rules(2, ("accept", "drop", "return"))}
      }}
      chain forward {{ type filter hook forward priority {priority}; policy {dice.choice(("accept", "accept", "drop"))};
        {rules(dice.randint(1, 4), verdicts)}
      }}
      chain input {{ type filter hook input priority {dice.choice(("-5", "0", "10"))}; policy accept;
        {rules(dice.randint(0, 2), verdicts)}
      }}
    }}
    """
