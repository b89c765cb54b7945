"""Where our rules stand: the ranks of every chain that we write into. Pure.

A rank is made of the activation numbers of the objects that a rule belongs to, never of a count of what else is there, so that one
object's coming or going moves no rule of another. Docker puts a newer network above the older ones (hence the minus), and appends
the ports and links of a container in the order in which they are programmed.
"""

from __future__ import annotations

from networks.cnm.rules import Rank

# filter FORWARD
USER_JUMP: Rank = (0, 0)
ISOLATION_JUMP: Rank = (0, 1)
# filter INPUT and OUTPUT
CLEAR: Rank = (0, 0)
"""What is to be encrypted and is not."""
# filter CNM
_RESTRICTED, _OPEN, _REST, _AT_HOLDER = 0, 1, 2, 3
# the last rule of a chain
LAST: Rank = (9,)


def of_network(activation: int, position: int) -> Rank:
    """In FORWARD, POSTROUTING, the isolation chains and nat CNM: the block of a network, newest network first."""
    return (1, -activation, position)


def last_of_network(activation: int) -> Rank:
    """In FORWARD: below all blocks, oldest network first (where Docker appends the DROP of icc=false)."""
    return (2, activation)


def of_trusted(container: int, position: int) -> Rank:
    """In raw: who may reach a container's address, above everything that keeps others away from it."""
    return (1, container, position)


def looked_up(block: int, position: int) -> Rank:
    """Above all rules of *block* (the first number of their ranks): where one rule of nftables asks for many of them at once."""
    return (block, -1, position)


def of_port(container: int, port: int, position: int = 0) -> Rank:
    """In nat CNM, nat POSTROUTING and raw: the rules of a published port, below all networks'."""
    return (2, container, port, position)


def restricted(container: int, port: int, position: int) -> Rank:
    """In filter CNM: a port with allowed sources stands above the open ones, which would let everybody in."""
    return (_RESTRICTED, container, port, position)


def at_holder(container: int, port: int, position: int) -> Rank:
    """In filter CNM: who may reach the port holder, asked from INPUT."""
    return (_AT_HOLDER, container, port, position)


def open_port(container: int, port: int) -> Rank:
    """In filter CNM: a container's open ports, above its links."""
    return (_OPEN, container, 0, port)


def of_link(recipient: int, link: int, position: int) -> Rank:
    """In filter CNM: the links of a recipient, with its ports."""
    return (_OPEN, recipient, 1, link, position)


def rest_of_network(activation: int, position: int) -> Rank:
    """In filter CNM: what becomes of traffic to a network that no rule above spoke of."""
    return (_REST, -activation, position)
