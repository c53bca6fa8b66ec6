"""An instance of a service in a process of its own: `python instance.py NAME HOST:PORT LAME_DUCK`.

Prints its address when it serves, and how many calls were cut off when it has stopped.
"""

from __future__ import annotations

import asyncio
import sys

import mesh

from tests.binding.node import Node, runtime


class Instance(Node):
    """Takes its time, so that there are calls in flight whenever it is stopped."""

    cut = 0

    async def _unary(self, request, context):
        try:
            return await super()._unary(request, context)
        except asyncio.CancelledError:
            self.cut += 1
            raise

    async def greet(self, request, context):
        if request == b"hang":
            await asyncio.Event().wait()
        await asyncio.sleep(0.02)
        return self.name.encode()


class Server(mesh.Server):
    """Says where it listens."""

    async def start(self):
        address = await super().start()
        print(address, flush=True)
        return address


def main(name: str, listen: str, lame_duck: str) -> None:
    instance = Instance(name)
    made = mesh.server(name, listen=listen, lame_duck=float(lame_duck), grace=30.0, using=runtime())
    made.__class__ = Server
    instance.add_to(made)
    made.run()
    print(f"cut {instance.cut}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
