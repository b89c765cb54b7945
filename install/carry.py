"""``carry.py FD:ADDRESS:PORT …``: takes connections at inherited listening sockets, and calls the address for each.

The sockets were opened in one network namespace and this process runs in another: that is all the way there is between the two.
"""

from __future__ import annotations

import asyncio
import socket
import sys


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One direction of a connection, to its end."""
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
    except OSError:
        writer.close()


async def serve(listener: socket.socket, address: str, port: int) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            inner_reader, inner_writer = await asyncio.open_connection(address, port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(copy(reader, inner_writer), copy(inner_reader, writer))
        for end in (inner_writer, writer):
            end.close()

    async with await asyncio.start_server(talk, sock=listener) as server:
        await server.serve_forever()


async def main() -> None:
    wanted = [word.split(":") for word in sys.argv[1:]]
    await asyncio.gather(
        *(serve(socket.socket(fileno=int(number)), address, int(port)) for number, address, port in wanted)
    )


if __name__ == "__main__":
    asyncio.run(main())
