"""An instance of a service in a process of its own: `python -m tests.binding.instance NAME HOST:PORT LAME_DUCK`.

Prints how many calls were cut off when it has stopped.
"""

from __future__ import annotations

import asyncio
import sys

import mesh

from .node import Node, runtime


class Instance(Node):
    """Takes its time, so that there are calls in flight whenever it is stopped."""

    cut = 0

    async def greet(self, request, context):
        try:
            await (asyncio.Event().wait() if request == b"hang" else asyncio.sleep(0.02))
        except asyncio.CancelledError:
            self.cut += 1
            raise
        return self.name.encode()


def main(name: str, listen: str, lame_duck: str) -> None:
    instance = Instance(name)
    server = mesh.server(name, listen=listen, lame_duck=float(lame_duck), grace=30.0, using=runtime())
    instance.add_to(server)
    server.run()
    sys.stdout.write(f"cut {instance.cut}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
