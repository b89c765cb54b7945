"""``python -m worker.capture.take``: packets of one interface, written to its standard output as pcapng.

A process of its own: it enters a network namespace for good, opens one socket, and gives up root before the first packet. It reads
its task as one line of JSON from standard input, ends when that is closed, and tells how far it is on standard error, a JSON object
a line.
"""

from __future__ import annotations

import ctypes
import json
import platform
import select
import socket
import struct
import sys
import time
from collections.abc import Mapping
from typing import Any

from networks.cnm.capture import Limits, PacketFilter
from worker.kernel.probe import enter, give_up_root

from . import bpf, pcapng

ALL_PACKETS = 0x0003
"""ETH_P_ALL."""
TOLD_EVERY_S = 0.5
BUFFER = 16 << 20
_SOL_PACKET, _PACKET_ADD_MEMBERSHIP, _PACKET_STATISTICS, _PACKET_AUXDATA = 263, 1, 6, 8
_PROMISCUOUS = 1
"""PACKET_MR_PROMISC."""
_SO_ATTACH_FILTER, _SO_RCVBUFFORCE, _SO_TIMESTAMPNS = 26, 33, 35
_OUTGOING = 4
"""PACKET_OUTGOING, of ``struct sockaddr_ll`` (packet(7))."""
_TIMESPEC = struct.Struct("=qq")
_AUXILIARY = struct.Struct("=IIIHHHH")
"""``struct tpacket_auxdata``; its second word is the packet's length before the filter cut it."""


def main() -> None:
    task = json.loads(sys.stdin.readline())
    if task["sandbox"]:
        enter(task["sandbox"])
    wanted = PacketFilter.from_json(task["filter"])
    limits = Limits(seconds=task["seconds"], size=task["size"], snap_length=task["snap_length"])
    with open_socket(task["interface"], wanted, limits, everything=not task["sandbox"]) as packets:
        give_up_root()  # what comes off a wire is read by nobody
        _Capture(packets, task, wanted, limits).run()


def open_socket(interface: str, wanted: PacketFilter, limits: Limits, *, everything: bool) -> socket.socket:
    """A socket that gets what is wanted of *interface*, and not one packet else: it is bound when the filter stands.

    *everything*: also what is not for this host. A bridge shows what it carries from port to port only then; it ends with the socket.
    """
    packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, 0)
    program = bpf.packed(bpf.compile_filter(wanted, limits.snap_length))
    code = ctypes.create_string_buffer(program)
    filter_ = struct.pack("HL", len(program) // 8, ctypes.addressof(code))
    packets.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, filter_)
    packets.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, BUFFER)
    packets.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    packets.setsockopt(_SOL_PACKET, _PACKET_AUXDATA, 1)
    packets.bind((interface, ALL_PACKETS))
    if everything:
        wish = struct.pack("=iHH8x", socket.if_nametoindex(interface), _PROMISCUOUS, 0)
        packets.setsockopt(_SOL_PACKET, _PACKET_ADD_MEMBERSHIP, wish)
    return packets


class _Capture:
    def __init__(self, packets: socket.socket, task: Mapping[str, Any], wanted: PacketFilter, limits: Limits) -> None:
        self._packets = packets
        self._limits = limits
        self._out = sys.stdout.buffer
        self._began = time.time_ns()
        self._deadline = time.monotonic() + limits.seconds
        self._count = self._dropped = 0
        self._size = 0
        self._write(
            pcapng.section(application="CNM Web", system=f"Linux {platform.release()}", comment=task["comment"])
            + pcapng.interface(
                name=task["interface"],
                description=task["description"],
                snap_length=limits.snap_length,
                packet_filter=str(wanted),
            )
        )

    def run(self) -> None:
        told = 0.0
        reason = ""
        while not reason:
            now = time.monotonic()
            if now - told >= TOLD_EVERY_S:
                told = now
                self._tell()
            if now >= self._deadline:
                reason = "time"
                break
            wait_s = min(self._deadline - now, TOLD_EVERY_S)
            ready, _, _ = select.select([self._packets, sys.stdin], [], [], wait_s)
            if sys.stdin in ready:
                reason = "stopped"
            if self._packets in ready:
                reason = self._take() or reason
        self._count_dropped()
        ended = time.time_ns()
        self._write(
            pcapng.statistics(
                began_ns=self._began, ended_ns=ended, received=self._count + self._dropped, dropped=self._dropped
            )
        )
        self._tell(reason=reason)

    def _take(self) -> str:
        """Everything that waits; why it is over, if it is."""
        for _ in range(1000):  # then one looks at the clock
            try:
                data, extras, _, address = self._packets.recvmsg(1 << 17, 256)
            except BlockingIOError:
                return ""
            except OSError:
                return "gone"  # ENETDOWN: the interface is down, or there no more
            ns, length = time.time_ns(), len(data)
            for level, kind, value in extras:
                if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS):
                    seconds, rest = _TIMESPEC.unpack(value)
                    ns = seconds * 1_000_000_000 + rest
                elif (level, kind) == (_SOL_PACKET, _PACKET_AUXDATA):
                    length = max(length, _AUXILIARY.unpack(value)[1])
            direction = pcapng.OUTBOUND if address[2] == _OUTGOING else pcapng.INBOUND
            block = pcapng.packet(data, length=length, ns=ns, direction=direction)
            if self._size + len(block) > self._limits.size:
                return "size"
            self._write(block)
            self._count += 1
        return ""

    def _write(self, block: bytes) -> None:
        self._out.write(block)
        self._size += len(block)

    def _count_dropped(self) -> None:
        found = self._packets.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8)
        self._dropped += struct.unpack("=II", found)[1]  # since it was last asked

    def _tell(self, **more: str) -> None:
        self._out.flush()
        self._count_dropped()
        value = {"packets": self._count, "size": self._size, "dropped": self._dropped, **more}
        print(json.dumps(value), file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
