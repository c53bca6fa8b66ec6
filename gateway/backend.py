"""Where each gRPC service is, and the channels to get there: one per target, opened inside the serving process."""

from __future__ import annotations

import json
import time
from collections.abc import Container, Mapping
from typing import Any

import grpc.aio

from gateway.compose import Plan, Result, execute
from mesh.binding.direct import Direct
from mesh.binding.runtime import Runtime
from mesh.binding.service_config import ChannelArguments, service_config
from mesh.binding.site_aio import Site
from mesh.binding.target import Target, resolve
from mesh.call import Arity, Call, Code, Metadata, Outcome


class _Place:
    """A target that is reached, by one schema or by several that follow each other."""

    __slots__ = ("site", "target", "users")

    def __init__(self, target: Target, site: Site) -> None:
        self.target = target
        self.site = site
        self.users = 0

    async def leave(self) -> None:
        """Close the channels, if nobody else uses them; calls in flight are cancelled."""
        self.users -= 1
        if not self.users:
            await self.site.close()
            await self.site.home.close()

    def __repr__(self) -> str:
        return f"<_Place {self.target.name} users={self.users}>"


class Backends:
    """Calls RPCs by their full names, whatever is behind them: a service, or a plan over services."""

    def __init__(self, runtime: Runtime, targets: Mapping[str, str], plans: Mapping[str, Plan]) -> None:
        """Take the target of each service, by the service's full name; nothing is opened yet."""
        self._runtime = runtime
        self._targets = targets
        self._plans = plans
        self._places: dict[str, _Place] = {}
        self._direct: dict[str, Direct] = {}
        """By target."""
        self._of_method: dict[str, Direct] = {}

    def open(self, predecessor: Backends | None = None, afresh: Container[str] = ()) -> None:
        """Make the channels, in the event loop that will use them. Connecting begins now and is not waited for.

        Where a predecessor is connected already, both use its channels, with their circuits and budgets; the last to close
        closes them. Targets of `afresh` get channels of their own.
        """
        shared = {}
        if predecessor is not None and predecessor._runtime is self._runtime:  # noqa: SLF001 - one of us
            shared = predecessor._places  # noqa: SLF001 - one of us
        for name, target in self.resolve().items():
            place = shared.get(name)
            if place is None or name in afresh or place.target != target:
                place = _Place(target, Site(target, self._runtime, _open, native=True))
                place.site.home.channel.get_state(try_to_connect=True)
            place.users += 1
            self._places[name] = place
            self._direct[name] = Direct(place.site.home, place.site.pick)

    def resolve(self) -> Mapping[str, Target]:
        """Return where each target is; raises ConfigError for one that is nowhere."""
        return {
            target: resolve(target, self._runtime.environment)
            for target in dict.fromkeys(self._targets.values())
        }

    async def close(self) -> None:
        """Close the channels that nobody else uses; their calls in flight are cancelled."""
        places, self._places = self._places, {}
        self._direct.clear()
        self._of_method.clear()
        for place in places.values():
            await place.leave()

    @property
    def is_open(self) -> bool:
        return len(self._places) == len(set(self._targets.values()))

    def target_of(self, method: str) -> str:
        """Return where the service of `/package.Service/Method` is; empty where nobody serves it."""
        return self._targets.get(method[1:].partition("/")[0], "")

    def find(self, method: str) -> Direct:
        """Return the way to `/package.Service/Method`."""
        direct = self._of_method.get(method)
        if direct is None:
            service = method[1:].partition("/")[0]
            direct = self._of_method[method] = self._direct[self._targets[service]]
        return direct

    def explain(self, method: str, arity: Arity) -> str:
        """Render what happens to the calls of a method, for a person; raises KeyError where nobody serves it."""
        target = self._targets[method[1:].partition("/")[0]]
        site = self._places[target].site
        connection = self._runtime.policies.connection(resolve(target, self._runtime.environment).services)
        native = json.dumps(service_config(connection))
        return f"{site.home.chains.explain(method, arity)}\nnative, by gRPC's core: {native}"

    async def run(
        self, plan: Plan, request: Any, *, deadline: float | None, metadata: Metadata, parent: Call | None
    ) -> Result:
        """Answer a composed call; `deadline` in monotonic seconds. Steps that are composed themselves nest."""
        within = _within(plan.method, deadline, parent)

        async def invoke(method: str, wire: bytes, timeout: float | None) -> Outcome:  # noqa: ASYNC109 - Invoke's
            inner = self._plans.get(method)
            if inner is None:
                return await self.find(method).unary(
                    method, wire, timeout=timeout, metadata=metadata, parent=within
                )
            until = deadline if timeout is None else time.monotonic() + timeout
            result = await self.run(
                inner, inner.request_class.FromString(wire), deadline=until, metadata=metadata, parent=within
            )
            outcome = result.outcome
            if outcome.code != Code.OK:
                return outcome
            return outcome._replace(value=outcome.value.SerializePartialToString())

        return await execute(plan, request, invoke, now=time.monotonic, deadline=deadline)

    def __repr__(self) -> str:
        return f"<Backends {len(self._places)} of {len(set(self._targets.values()))} open>"


def _open(uri: str, arguments: ChannelArguments) -> grpc.aio.Channel:
    return grpc.aio.insecure_channel(uri, options=arguments)


def _within(method: str, deadline: float | None, parent: Call | None) -> Call | None:
    """Return the parent whose deadline the steps inherit: the one given, unless the composition must end sooner."""
    if deadline is None or (
        parent is not None and parent.deadline is not None and parent.deadline <= deadline
    ):
        return parent
    bounded = Call(method, Arity.UNARY_UNARY)
    bounded.deadline = deadline
    if parent is not None:
        bounded.scratch, bounded.hurried = parent.scratch, parent.hurried
    return bounded
