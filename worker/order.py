"""The order in which kinds of resources are written: a firewall before the link it guards, a link before its process.

Pure. Host ports are given up and taken in one stage, so that a port can move from one address to all. Deletions of one kind run
after the rules that name it are gone; a process stops first and starts last. All links of one change are one stage: their handler
orders them itself, and so can send everything for a namespace in one datagram and let a namespace take its links along. A VXLAN device
comes after its bridge and goes before it, as a link does that is handed to a Docker Engine; what encrypts a device's packets is there
before it and stays until it is gone. The DNS server leaves a sandbox before that goes, for an open socket keeps a namespace alive.
Plugins are told before what follows from their answers (``worker.asking``), and an interface of theirs is back on the host before they
hear that its endpoint is gone.
"""

from __future__ import annotations

from networks.cnm.plan import Action, Step

_CREATE = {
    "plugin-node": 1,
    "pool": 2,
    "plugin-allocation": 3,
    "plugin-network": 4,
    "lease": 5,
    "sysctl": 10,
    "port": 20,
    "leftover": 29,
    "chain": 30,
    "rule": 30,
    "xfrm-state": 57,
    "xfrm-policy": 58,
    "plugin-endpoint": 58,
    "plugin-join": 59,
    "vlan": 60,
    "bridge": 60,
    "sandbox": 60,
    "veth": 60,
    "macvlan": 60,
    "ipvlan": 60,
    "interface": 60,
    "address": 60,
    "route": 60,
    "vxlan": 62,
    "handed": 62,
    "forwarding": 62,
    "neighbour": 62,
    "dns": 65,
    "name": 65,
    "plugin-ports": 68,
    "file": 70,
    "process": 90,
}
_DELETE = {
    "process": 5,
    "rule": 30,
    "chain": 30,
    "leftover": 31,
    "plugin-ports": 32,
    "plugin-join": 34,
    "dns": 35,
    "name": 35,
    "vxlan": 39,
    "handed": 39,
    "forwarding": 39,
    "neighbour": 39,
    "route": 40,
    "address": 40,
    "veth": 40,
    "macvlan": 40,
    "ipvlan": 40,
    "interface": 40,
    "sandbox": 40,
    "bridge": 40,
    "vlan": 40,
    "xfrm-policy": 44,
    "plugin-endpoint": 45,
    "xfrm-state": 46,
    "lease": 46,
    "plugin-network": 47,
    "plugin-allocation": 48,
    "pool": 49,
    "plugin-node": 51,
    "file": 50,
    "port": 20,
    "sysctl": 95,
}


def stage(step: Step) -> int:
    """The stage of a step; steps of one stage are independent or are ordered by their handler."""
    return (_DELETE if step.action is Action.DELETE else _CREATE)[step.kind]
