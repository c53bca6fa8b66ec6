"""How a gateway follows its schema while it serves: what is offered is loaded beside it, judged, and put in its place.

Offered are the files a schema came from, when they change, and what a backend says by reflection, when it is asked again.
Each worker follows them by itself, and since all read the same, all come to the same.

offered ─► loaded ─► compared ─► compiled ─► serves, and the one before ends with its last request
              └─ problems ─┴─ breaks (if so set) ─► refused: listed in the log and at the admin port's `/schema`
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from gateway.app import Gateway, Refusal
from gateway.edge.metrics import SCHEMA_UPDATES
from gateway.live import Live, compile_live
from gateway.load import Source, compile_backend, load_environment, read_sets, reflect
from gateway.schema.breaking import compare
from gateway.schema.files import Files
from gateway.schema.fingerprint import fingerprint
from mesh.errors import ConfigError
from mesh.policy.problem import Problem
from mesh.telemetry.instruments import RESULT

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.blueprint import Blueprint
    from gateway.schema.pool import Loaded, Schema

_log = logging.getLogger("mesh")

_KEPT: Final = "the new schema is refused: the one before goes on serving"
_UNANSWERED: Final = frozenset({"", "reflection"})
"""Where the problems are of a backend that was asked in vain: they say nothing about its schema."""


class Updates:
    """Follows the source of one gateway's schema until it is stopped."""

    def __init__(self, source: Source) -> None:
        """Note how the files are: who loads the source after this misses no change. Raises ConfigError as loading does."""
        self._source = source
        self._asks = not (source.config or source.descriptors)
        self._files = Files(source.files())
        self._first = self._files.digest()
        self._served = self._judged = b""
        """What tells apart the schemas that are served, and that were judged last."""
        self._descriptors: tuple[Path, ...] = ()
        """An environment's, as they were listed when it was loaded."""
        self._silence = ""
        self._next_question = 0.0
        self._settle: Callable[[], None] = lambda: None
        self._task: asyncio.Task[None] | None = None
        self._retiring: set[asyncio.Task[None]] = set()

    def start(self, gateway: Gateway, settle: Callable[[], None]) -> None:
        """Follow from now on, if the gateway's settings say so; `settle` is called when what was replaced is gone."""
        self.attach(gateway)
        if gateway.live.blueprint.settings.schema_updates.watch:
            self._settle = settle
            self._task = asyncio.ensure_future(self._run(gateway))

    def attach(self, gateway: Gateway) -> None:
        """Begin with the schema that the gateway serves."""
        blueprint = gateway.live.blueprint
        environment = blueprint.runtime.environment
        self._descriptors = () if environment is None else environment.descriptors
        self._judged = self._served = self._first + self._mark(blueprint.schema if self._asks else None)
        self._ask_later(blueprint)

    async def stop(self) -> None:
        """Take over nothing any more. What was replaced and is still in use is for the gateway's `close`."""
        tasks = [*self._retiring, *([] if self._task is None else [self._task])]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _run(self, gateway: Gateway) -> None:
        while True:
            await asyncio.sleep(self._files.pause())
            await self.look(gateway)

    async def look(self, gateway: Gateway) -> str:
        """Take over what is offered; return what came of it: `swapped`, `refused`, `unchanged`, or nothing."""
        changed = self._files.changed()
        if not changed and not (self._asks and time.monotonic() >= self._next_question):
            return ""
        try:
            result = await self._follow(gateway)
        except Exception as error:  # noqa: BLE001 - what nobody thought of must not end the following
            _log.exception("the schema cannot be followed")
            result = self._refuse(gateway, (Problem("", f"cannot be served: {error!r}"),))
        # A backend that is asked whether there is something new, and has nothing, offers nothing.
        if result == "unchanged" and not changed:
            result = ""
        if result:
            aggregates = gateway.live.blueprint.runtime.telemetry.aggregates
            aggregates.number(SCHEMA_UPDATES, ((RESULT, result),)).value += 1
        return result

    async def _follow(self, gateway: Gateway) -> str:
        loaded = None
        if self._asks:
            loaded = await reflect(self._source)
            self._ask_later(gateway.live.blueprint)
            if not self._is_answer(loaded):
                return ""
        digest = await asyncio.to_thread(self._files.digest)
        mark = digest + self._mark(None if loaded is None else loaded[0])
        if mark == self._served:
            gateway.refused = None
        if mark in {self._served, self._judged}:
            self._judged = mark
            return "unchanged"
        taken = await asyncio.to_thread(self._take, gateway.live.blueprint, loaded, digest)
        if taken is None:
            self._files.again()
            return ""
        self._judged = mark
        if not isinstance(taken, Live):
            return self._refuse(gateway, taken)
        self._served, gateway.refused = mark, None
        self._let_retire(gateway, gateway.replace(taken))
        _log.info("a new schema is served: %s, %s", fingerprint(taken.blueprint.schema), taken.blueprint)
        return "swapped"

    def _let_retire(self, gateway: Gateway, old: Live) -> None:
        async def retire() -> None:
            await gateway.retire(old)
            self._settle()

        retiring = asyncio.ensure_future(retire())
        self._retiring.add(retiring)
        retiring.add_done_callback(self._retiring.discard)

    def _take(
        self, old: Blueprint, loaded: Loaded | None, digest: bytes
    ) -> Live | tuple[Problem, ...] | None:
        """Return what may be served, its policies in place; or why it may not; None if its files are being written."""
        # Policies that change meanwhile must neither be lost nor be read with the old descriptors.
        with old.runtime.changing:
            try:
                new = self._load(old, loaded)
            except ConfigError as error:
                return error.problems if self._files.digest() == digest else None
            if self._files.digest() != digest:
                return None
            breaks = compare(old, new)
            if breaks and old.settings.schema_updates.refuse_breaking:
                return breaks
            for problem in breaks:
                _log.warning("breaking change: %s", problem)
            live = compile_live(replace(new, runtime=old.runtime))
            try:
                live.backends.resolve()
                old.runtime.reload(new.runtime.policies)
            except ConfigError as error:
                return error.problems
            return live

    def _load(self, old: Blueprint, loaded: Loaded | None) -> Blueprint:
        environment = old.runtime.environment
        if environment is None:
            return compile_backend(self._source, loaded or read_sets(self._source))
        # Policies are those of now; which files and settings there are is for a reload of everything.
        return load_environment(replace(environment, descriptors=self._descriptors), settings=old.settings)

    def _refuse(self, gateway: Gateway, problems: tuple[Problem, ...]) -> str:
        gateway.refused = Refusal(time.time(), problems)
        for problem in problems:
            _log.error("%s", problem)
        _log.error(_KEPT)
        return "refused"

    def _is_answer(self, loaded: Loaded) -> bool:
        """Whether the backend has told its schema; if not, that is logged once."""
        silence = "; ".join(str(problem) for problem in loaded[1] if problem.path in _UNANSWERED)
        if silence and silence != self._silence:
            _log.warning("%s does not tell its schema: %s", self._source.backend, silence)
        self._silence = silence
        return not silence

    def _mark(self, schema: Schema | None) -> bytes:
        """Return what tells a reflected schema from others, as far as it is served."""
        if schema is None:
            return b""
        wanted = self._source.services
        shown = tuple(one for one in schema.services if not wanted or one.full_name in wanted)
        return fingerprint(replace(schema, services=shown)).encode()

    def _ask_later(self, blueprint: Blueprint) -> None:
        self._next_question = time.monotonic() + blueprint.settings.schema_updates.reflection_interval

    def __repr__(self) -> str:
        return f"<Updates {self._files!r} retiring={len(self._retiring)}>"
