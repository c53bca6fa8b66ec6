"""When a running process follows a change of its environment's file, and what it says about the rest of the change.

The file is looked at once a second, in a thread of its own: reading and compiling beside keep no call waiting. What is
wrong with it is logged, every problem with its place, and the policies before it go on serving. So that nothing is
dropped silently, what only a restart can change is logged too.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING

from mesh.config import environment as environments
from mesh.config import restart
from mesh.config.diagnostic import locate
from mesh.config.watch import INTERVAL, FileWatch, is_wanted
from mesh.errors import MeshError
from mesh.policy.problem import Problems
from mesh.policy.table import load
from mesh.telemetry.instruments import POLICY_RELOADS, RESULT

if TYPE_CHECKING:
    from mesh.binding.runtime import Runtime

_log = logging.getLogger("mesh")


def refresh(runtime: Runtime) -> None:
    """Read the environment's file again, and let new calls follow its policies if all of it is right."""
    before = runtime.environment
    if before is None:
        return
    try:
        with runtime.changing:
            problems = _follow(runtime)
    except MeshError as error:
        problems = [f"{before.file}: {error}"]
    except Exception as error:  # noqa: BLE001 - a user's stage that cannot be made must not end the watching
        _log.exception("%s: cannot be followed", before.file)
        problems = [f"{before.file}: {error!r}"]
    for text in problems:
        _log.error("%s", text)
    if problems:
        _log.error("%s is not followed: the policies before it go on serving", before.file)
    _count(runtime, "refused" if problems else "applied")


def _follow(runtime: Runtime) -> list[str]:
    """Return every problem; with none, the policies are in place."""
    before = runtime.environment
    assert before is not None  # noqa: S101 - the caller's condition
    file = str(before.file)
    after, diagnostics = environments.load(file)
    if after is None:
        return list(map(str, diagnostics))
    policies, problems = load(after.proto.policies, Problems("policies"), runtime.policies.pool)
    if problems:
        return list(map(str, locate(file, after.lines, problems)))
    runtime.reload(policies)
    runtime.environment = after
    for late in locate(file, after.lines, restart.needed(before.proto, after.proto)):
        _log.warning("%s", late)
    _log.info("%s: new calls follow its policies", file)
    return []


def _count(runtime: Runtime, result: str) -> None:
    runtime.telemetry.aggregates.number(POLICY_RELOADS, ((RESULT, result),)).value += 1


class Watcher:
    """Follows a runtime's file until it is stopped."""

    def __init__(self, runtime: Runtime, watch: FileWatch, interval: float) -> None:
        self._runtime = runtime
        self._watch = watch
        self._interval = interval
        self._told = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mesh-reload", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Look no more; returns when a reload under way has ended."""
        self._told.set()
        self._thread.join()

    def _run(self) -> None:
        wait = self._interval
        while not self._told.wait(wait):
            if self._watch.changed():
                refresh(self._runtime)
            wait = self._watch.pause(self._interval)

    def __repr__(self) -> str:
        return f"<Watcher {self._watch.file}>"


def watch(runtime: Runtime, environ: Mapping[str, str], *, interval: float = INTERVAL) -> Watcher | None:
    """Follow the file of a runtime's environment; None where there is none, or where MESH_RELOAD is 0."""
    if runtime.environment is None or not is_wanted(environ):
        return None
    return Watcher(runtime, FileWatch(runtime.environment.file), interval)
