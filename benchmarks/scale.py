"""What one change costs a host of many, in CPU time: compile and diff, for 1,000 hosts with 100 containers each. No kernel, no root.

    python -m benchmarks.scale [HOSTS] [CONTAINERS] [NETWORKS]

One host is compiled as it would be among the others: its own containers spread over the networks, and every container of every other host
on these networks as a forwarding entry, a neighbour and names. The change is one container that starts elsewhere.
"""

from __future__ import annotations

import resource
import sys
import time
from collections import Counter
from collections.abc import Callable
from ipaddress import IPv4Address, ip_address, ip_interface, ip_network
from typing import TypeVar

from networks.cnm.desired import Container, Endpoint, Host, Network, RemoteEndpoint, Subnet
from networks.cnm.facts import HostFacts
from networks.cnm.names import mac_from_ipv4
from networks.cnm.resources import ForwardingEntry, Neighbour
from worker.compile import compile_host
from worker.diff import diff
from worker.kernel import vxlan

T = TypeVar("T")
FIRST = int(IPv4Address("10.0.0.0"))
FACTS = HostFacts(
    hostname="h",
    addresses=(("eth0", ip_interface("192.168.0.1/16")),),
    default_device="eth0",
    mtus=(("eth0", 1500),),
)


def identity(number: int) -> str:
    return f"{number:012x}" + "a" * 52


def block(networks: int) -> int:
    """Addresses of one of *networks* in 10.0.0.0/8: a power of two."""
    return 1 << ((1 << 24) // networks).bit_length() - 1


def network(number: int, networks: int) -> Network:
    size = block(networks)
    return Network(
        id=identity(number + 1),
        name=f"net-{number}",
        driver="overlay",
        activation=number + 1,
        scope="global",
        subnets=(Subnet(subnet=ip_network((FIRST + number * size, 33 - size.bit_length()))),),
        vni=4096 + number,
    )


def address(number: int, networks: int) -> IPv4Address:
    """The address of container *number*: containers are dealt to the networks in turn."""
    return IPv4Address(FIRST + number % networks * block(networks) + number // networks + 2)


def own(number: int, networks: int) -> Container:
    way = Endpoint(
        id=identity(number + 1_000),
        network_id=identity(number % networks + 1),
        ifname="eth0",
        ipv4=ip_interface((address(number, networks), 33 - block(networks).bit_length())),
    )
    return Container(id=identity(number + 1_000), name=f"c{number}", live=True, run="1.0", endpoints=(way,))


def remote(number: int, containers: int, networks: int) -> RemoteEndpoint:
    ip = address(number, networks)
    host = number // containers
    return RemoteEndpoint(
        id=identity(number + 1_000),
        network_id=identity(number % networks + 1),
        container_id=identity(number + 1_000),
        host=f"h{host}",
        underlay=ip_address(f"192.168.{host // 250}.{host % 250 + 2}"),
        mac=mac_from_ipv4(ip),
        addresses=(ip,),
        names=(f"c{number}", identity(number)[:12]),
    )


def timed(name: str, work: Callable[[], T]) -> T:
    begun = time.process_time()
    result = work()
    print(f"{name:<46}{(time.process_time() - begun) * 1000:>12,.1f} ms", flush=True)
    return result


def main(hosts: int = 1000, containers: int = 100, networks: int = 1000) -> None:
    print(f"{hosts} hosts x {containers} containers on {networks} overlay networks\n")
    nets = tuple(network(number, networks) for number in range(networks))
    mine = tuple(own(number, networks) for number in range(containers))
    others = tuple(remote(number, containers, networks) for number in range(containers, hosts * containers))
    joined = {container.endpoints[0].network_id for container in mine}
    seen = tuple(item for item in others if item.network_id in joined)
    before = Host(id="h", networks=nets, containers=mine, remotes=seen[:-1])
    after = Host(id="h", networks=nets, containers=mine, remotes=seen)
    first = timed("compile, the first time", lambda: compile_host(before, FACTS))
    second = timed("compile, one container more elsewhere", lambda: compile_host(after, FACTS))
    plan = timed("diff", lambda: diff(second, first))
    print(f"\n{'resources of one host':<46}{len(second):>12,}")
    for kind, count in sorted(Counter(item.kind for item in second).items()):
        print(f"  {kind:<44}{count:>12,}")
    print(f"{'steps of the change on each host concerned':<46}{len(plan):>12,}")
    told = sum(map(len, map(message, plan.steps)))
    print(f"{'bytes of netlink for it':<46}{told:>12,}")
    print(f"{'hosts concerned, at most':<46}{hosts - 1:>12,}")
    print(
        f"{'resident memory of this process':<46}{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024:>8,} MiB"
    )


def message(step: object) -> bytes:
    """What the kernel is told by a step."""
    after = getattr(step, "after", None)
    if isinstance(after, ForwardingEntry):
        return b"".join(vxlan.set_forwarding(1, after.mac, after.remote))
    return vxlan.set_neighbour(1, after.address, after.mac) if isinstance(after, Neighbour) else b""


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
