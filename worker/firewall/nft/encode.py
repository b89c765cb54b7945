"""Commands in nft's JSON as messages for the kernel, byte for byte those that nft itself makes of them. Pure.

Only the words that rules of ours are made of (:mod:`.expressions`, :mod:`.lookups`) are known here; all else is refused.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterator, Mapping
from ipaddress import ip_address
from typing import Any

from networks.cnm.errors import Unsupported
from networks.cnm.text import gettext_noop
from worker.kernel import nft
from worker.kernel import nft_expressions as packet
from worker.kernel.nft_elements import add_elements, element
from worker.kernel.nft_message import IPV4, IPV6, attribute, nest, number

from .expressions import Expression
from .registers import STATES, TYPES, Field, field_of

FAMILIES = {"ip": IPV4, "ip6": IPV6}
_SETS = {"set", "map"}


class Encoder:
    """Encodes the commands of one transaction, in their order."""

    def __init__(self) -> None:
        self._sets = 0

    def encode(self, command: Mapping[str, Any]) -> list[bytes]:
        """The messages of one command. Raises :class:`Unsupported` for words that rules of ours do not use."""
        ((verb, what),) = command.items()
        ((kind, value),) = what.items()
        try:
            return list(self._messages(verb, kind, value, FAMILIES[value["family"]]))
        except (KeyError, ValueError, TypeError) as error:
            raise Unsupported(
                gettext_noop("The rule {rule} cannot be written through nftables."),
                remedy=gettext_noop("Set CNM_FIREWALL to iptables."),
                rule=str(value),
                facts={"line": str(value)},
            ) from error

    def _messages(self, verb: str, kind: str, value: Mapping[str, Any], family: int) -> Iterator[bytes]:
        name, table = value.get("name", ""), value.get("table", "")
        if (verb, kind) == ("add", "table"):
            yield nft.new_table(name, family)
        elif (verb, kind) == ("delete", "table"):
            yield nft.delete_table(name, family)
        elif (verb, kind) == ("add", "chain"):
            yield _chain(value, family)
        elif (verb, kind) == ("delete", "chain"):
            yield nft.delete_chain(table, name, family)
        elif verb == "add" and kind in _SETS:
            yield self._set(value, family)
        elif verb == "delete" and kind in _SETS:
            yield nft.delete_set(table, name, family)
        elif (verb, kind) == ("delete", "rule"):
            yield nft.delete_rule(table, value["chain"], value["handle"], family)
        elif kind == "rule":
            yield from self._rule(value, family)
        else:
            raise ValueError(verb, kind)

    def _set(self, value: Mapping[str, Any], family: int) -> bytes:
        types = value["type"] if isinstance(value["type"], list) else [value["type"]]
        flags = nft.SET_MAP if "map" in value else 0
        body = number(4, _type_number(types)) + number(5, sum(TYPES[name].filled for name in types))
        said = _user_data(0, 0 if len(types) > 1 else TYPES[types[0]].order)
        if "map" in value:
            given = value["map"].split(" . ")
            body += number(6, _type_number(given)) + number(7, sum(TYPES[name].filled for name in given))
            said += _user_data(1, 0)
        said += _concatenated(3) if len(types) > 1 else b""
        said += _concatenated(4) + _NO_INTERVALS if "map" in value else b""
        body += attribute(13, said)
        body += nest(17, packet.counter()) if value.get("stmt") else b""
        return nft.new_set(value["table"], value["name"], self._next(), body, flags=flags, family=family)

    def _next(self) -> int:
        self._sets += 1
        return self._sets

    def _rule(self, value: Mapping[str, Any], family: int) -> Iterator[bytes]:
        table = value["table"]
        made = _Expressions(family, self._next)
        for item in value["expr"]:
            made.take(item)
        for id_, elements in made.sets:
            yield nft.new_set(
                table,
                _UNNAMED,
                id_,
                _set_of_protocols(len(elements)),
                flags=nft.SET_ANONYMOUS | nft.SET_CONSTANT,
                family=family,
            )
            yield from add_elements(family, table, _UNNAMED, map(element, elements), id_=id_)
        before = value.get("handle")
        yield nft.new_rule(
            table, value["chain"], made.done, family=family, comment=value.get("comment", ""), before=before
        )


_UNNAMED = "__set%d"
"""The kernel puts a number there."""
_CONCATENATION = 13
"""nft's EXPR_CONCAT."""
_NO_INTERVALS = bytes([6, 4, 0, 0, 0, 0])
"""NFTNL_UDATA_SET_DATA_INTERVAL."""


_HOSTS_ORDER, _META, _L4PROTO = 1, 9, 16
_TYPE_OF_PROTOCOL = bytes([3, 14, 0, 4]) + struct.pack("=I", _META) + bytes([1, 6, 0, 4]) + struct.pack("=I", _L4PROTO)
"""NFTNL_UDATA_SET_KEY_TYPEOF: nft's EXPR_META, of NFT_META_L4PROTO."""


def _concatenated(kind: int) -> bytes:
    """That keys (NFTNL_UDATA_SET_KEY_TYPEOF, 3) or values (_DATA_TYPEOF, 4) are concatenations, with nothing more to say of their parts."""
    return bytes([kind, 8, 0, 4]) + struct.pack("=I", _CONCATENATION) + bytes([1, 0])


def _user_data(kind: int, value: int) -> bytes:
    return bytes([kind, 4]) + struct.pack("=I", value)


def _set_of_protocols(size: int) -> bytes:
    kind = TYPES["inet_proto"]
    said = number(4, kind.number) + number(5, kind.length) + nest(9, number(1, size))
    return said + attribute(13, _user_data(0, _HOSTS_ORDER) + _TYPE_OF_PROTOCOL)


def _type_number(types: list[str]) -> int:
    """A concatenation's type has six bits for each part's."""
    found = 0
    for name in types:
        found = found << 6 | TYPES[name].number
    return found


def _chain(value: Mapping[str, Any], family: int) -> bytes:
    if "hook" not in value:
        return nft.new_chain(value["table"], value["name"], family)
    hook = nft.HOOKS[value["hook"]]
    return nft.new_base_chain(value["table"], value["name"], value["type"], hook, value["prio"], family)


class _Expressions:
    """The expressions of one rule."""

    def __init__(self, family: int, next_set: Callable[[], int]) -> None:
        self.done: list[bytes] = []
        self.sets: list[tuple[int, list[bytes]]] = []
        """The sets without a name that they ask: (id, elements)."""
        self._family = family
        self._next_set = next_set
        self._protocol = ""
        """What an earlier expression has asked the packet's protocol to be."""

    def take(self, item: Expression) -> None:
        ((name, value),) = item.items()
        if name == "match":
            self._match(value["left"], value["right"], value["op"])
        elif name == "counter":
            self.done.append(packet.counter())
        elif name == "masquerade":
            self.done.append(packet.masquerade())
        elif name in {"jump", "goto"}:
            self.done.append(packet.verdict(name, value["target"]))
        elif name in {"dnat", "snat"}:
            self._translate(name, value)
        elif name in packet.VERDICTS and value is None:
            self.done.append(packet.verdict(name))
        else:
            raise ValueError(name)

    def _match(self, left: Expression, right: Any, operator: str) -> None:
        if operator not in {"==", "!=", "in"}:
            raise ValueError(operator)
        inverted = operator == "!="
        if isinstance(right, str) and right.startswith("@"):
            self._load(left)
            self.done.append(packet.look_up(right[1:], inverted=inverted))
            return
        field = field_of(left, self._family)
        if field.protocol and field.protocol != self._protocol:
            # A port belongs to a protocol: nft asks for it first, once.
            self._match({"meta": {"key": "l4proto"}}, field.protocol, "==")
            self._protocol = field.protocol
        if isinstance(right, dict):
            self._match_some(field, right, inverted)
        elif operator == "in":
            self._match_state(field, right)
        else:
            value = field.pack(right)
            self.done += [field.load(), packet.compare(value, packet.UNEQUAL if inverted else packet.EQUAL)]

    def _match_some(self, field: Field, right: Mapping[str, Any], inverted: bool) -> None:
        ((kind, values),) = right.items()
        operator = packet.UNEQUAL if inverted else packet.EQUAL
        if kind == "prefix":
            self._match_prefix(field, ip_address(values["addr"]).packed, values["len"], operator)
        elif kind == "range":
            first, last = map(field.pack, values)
            self.done.append(field.load())
            if inverted:
                self.done.append(packet.outside(first, last))
            else:
                self.done += [packet.compare(first, packet.AT_LEAST), packet.compare(last, packet.AT_MOST)]
        elif kind == "set":
            id_ = self._next_set()
            self.sets.append((id_, [field.pack(value) for value in values]))
            self.done += [field.load(), packet.look_up(_UNNAMED, id_=id_, inverted=inverted)]
        else:
            raise ValueError(kind)

    def _match_prefix(self, field: Field, address: bytes, length: int, operator: int) -> None:
        """Whole bytes are compared by themselves, the rest through a mask."""
        if length and length % 8 == 0:
            self.done += [field.load(length=length // 8), packet.compare(address[: length // 8], operator)]
            return
        bits = 8 * len(address)
        mask = ((1 << bits) - (1 << bits - length)).to_bytes(len(address), "big")
        self.done += [field.load(), packet.masked(mask), packet.compare(address, operator)]

    def _match_state(self, field: Field, right: object) -> None:
        words = [right] if isinstance(right, str) else right
        if not isinstance(words, list):
            raise TypeError(right)
        mask = struct.pack("=I", sum(STATES[word] for word in words))
        self.done += [field.load(), packet.masked(mask), packet.compare(bytes(4), packet.UNEQUAL)]

    def _load(self, left: Expression, place: int = 0) -> None:
        """Load a key, part by part."""
        for part in left.get("concat", [left]):
            field = field_of(part, self._family)
            self.done.append(field.load(place))
            place += field.filled

    def _translate(self, name: str, value: Mapping[str, Any]) -> None:
        kind = packet.DESTINATION_NAT if name == "dnat" else packet.SOURCE_NAT
        address, port = value["addr"], value.get("port")
        if isinstance(address, dict):
            self._translate_by_map(kind, address["map"])
            return
        self.done.append(packet.immediate(socket.inet_pton(_INET[self._family], address), 0))
        if port is not None:
            self.done.append(packet.immediate(packet.port_number(port), 16))
        self.done.append(packet.translate(kind, self._family, 0, None if port is None else 16))

    def _translate_by_map(self, kind: int, asked: Mapping[str, Any]) -> None:
        """To the address and the port that a map gives at once."""
        self._load(asked["key"])
        self.done.append(packet.look_up(asked["data"][1:], into=0))
        width = TYPES["ipv4_addr" if self._family == IPV4 else "ipv6_addr"].filled
        self.done.append(packet.translate_exactly(kind, self._family, 0, width))


_INET = {IPV4: socket.AF_INET, IPV6: socket.AF_INET6}
