"""What `mesh up` does when its file is edited: new policies reach every process, problems and the rest are said."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from mesh.cli.inspection import inspect
from mesh.config import restart
from mesh.config.diagnostic import locate
from mesh.config.watch import FileWatch, is_wanted

if TYPE_CHECKING:
    from mesh.config import Environment
    from mesh.up import Supervisor


async def follow(
    environment: Environment, supervisor: Supervisor, say: Callable[[str], None], environ: Mapping[str, str]
) -> None:
    """Follow the environment's file until cancelled; not at all where MESH_RELOAD is 0."""
    watch = FileWatch(environment.file)
    while is_wanted(environ):
        await asyncio.sleep(watch.pause())
        if not watch.changed():
            continue
        found = await asyncio.to_thread(inspect, environment.file)
        for diagnostic in found.diagnostics:
            say(str(diagnostic))
        if found.environment is None:
            say(f"{environment.file.name} is not followed: the policies before it go on serving")
            continue
        before, environment = environment.proto, found.environment
        late = restart.needed(before, environment.proto)
        for diagnostic in locate(str(environment.file), environment.lines, late):
            say(str(diagnostic))
        if before.policies != environment.proto.policies:
            supervisor.push(environment.proto.policies)
            say("every process is told of the new policies")
