"""Elements of our sets and maps as the kernel's registers hold them, and the messages that write them. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from worker.kernel.nft_elements import add_elements, delete_elements, element

from .change import Change, ElementsChange
from .lookups import ElementKey
from .registers import NUMBERS, PACK, pack_address, pack_port
from .table import NAME


def element_messages(change: Change) -> Iterator[tuple[bytes, str]]:
    """What carries out the elements of *change*, each message with the line of the script that it carries out, where it is one."""
    for item in change.elements:
        for message in _messages(NUMBERS[change.after.family], item):
            yield message, item.origin


def _messages(family: int, item: ElementsChange) -> Iterator[bytes]:
    if item.gone:
        gone = (element(pack_key(item.options, found.key)) for found in item.gone)
        yield from delete_elements(family, NAME, item.name, gone)
    if item.new:
        yield from add_elements(family, NAME, item.name, _elements(item))


def _elements(item: ElementsChange) -> Iterator[bytes]:
    packers = [PACK[option] for option in item.options]
    for _, key, value, comment in item.new:
        packed = b"".join([pack(part) for pack, part in zip(packers, key, strict=False)])
        yield element(packed, None if value is None else pack_address(value[0]) + pack_port(value[1]), comment)


def pack_key(options: tuple[str, ...], key: ElementKey) -> bytes:
    """A key whose parts are the values of *options*, each filling up four bytes."""
    return b"".join([PACK[option](part) for option, part in zip(options, key, strict=True)])
