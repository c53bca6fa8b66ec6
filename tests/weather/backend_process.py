"""A backend as a process: prints its address, hangs when told to, serves until its standard input ends.

Under `mesh up`, which gives it no standard input, it serves until it is told to stop.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

import mesh

NAME, STUBS = sys.argv[1:]
sys.path.insert(0, STUBS)

from weather.v1 import weather_pb2, weather_pb2_grpc  # type: ignore[import-not-found]  # noqa: E402 - made for the test


class Calm(weather_pb2_grpc.CalmServiceServicer):  # type: ignore[misc]
    async def GetSky(self, request: Any, context: Any) -> Any:
        return weather_pb2.GetSkyResponse(colour="blue")


class Storm(weather_pb2_grpc.StormServiceServicer):  # type: ignore[misc]
    def __init__(self) -> None:
        self.hangs = self.raises = False
        self.hung = 0
        self.cancelled = 0

    async def GetWind(self, request: Any, context: Any) -> Any:
        await self.blow()
        return weather_pb2.GetWindResponse(knots=12)

    async def GetGust(self, request: Any, context: Any) -> Any:
        await self.blow()
        return weather_pb2.GetGustResponse(knots=40)

    async def WatchWind(self, request: Any, context: Any) -> Any:
        yield weather_pb2.WatchWindResponse(knots=12)
        await asyncio.Event().wait()

    async def SetMood(self, request: Any, context: Any) -> Any:
        self.hangs, self.raises = request.hangs, request.raises
        return weather_pb2.SetMoodResponse(hung=self.hung, cancelled=self.cancelled)

    async def blow(self) -> None:
        if self.raises:
            raise ConnectionError("no route to the database at 10.0.0.7")
        if not self.hangs:
            return
        self.hung += 1
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise


async def main() -> None:
    server = mesh.server(NAME)
    if NAME == "calm":
        weather_pb2_grpc.add_CalmServiceServicer_to_server(Calm(), server)
    else:
        weather_pb2_grpc.add_StormServiceServicer_to_server(Storm(), server)
    if "MESH_INSTANCE" in os.environ:
        await server.serve()
        return
    sys.stdout.write(f"{await server.start()}\n")
    sys.stdout.flush()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await server.stop()


asyncio.run(main())
