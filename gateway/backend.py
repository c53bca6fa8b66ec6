"""Where each gRPC service is, and the channels to get there: one per target, opened inside the serving process."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import grpc.aio

from gateway.compose import Plan, Result, execute
from mesh.binding.direct import Direct
from mesh.binding.runtime import Runtime
from mesh.binding.service_config import ChannelArguments
from mesh.binding.site_aio import Site
from mesh.binding.target import resolve
from mesh.call import Arity, Call, Code, Metadata, Outcome


class Backends:
    """Calls RPCs by their full names, whatever is behind them: a service, or a plan over services."""

    def __init__(self, runtime: Runtime, targets: Mapping[str, str], plans: Mapping[str, Plan]) -> None:
        """Take the target of each service, by the service's full name; nothing is opened yet."""
        self._runtime = runtime
        self._targets = targets
        self._plans = plans
        self._sites: dict[str, Site] = {}
        self._direct: dict[str, Direct] = {}
        """By target."""
        self._of_method: dict[str, Direct] = {}

    def open(self) -> None:
        """Make the channels, in the event loop that will use them. Connecting begins now and is not waited for."""
        for target in dict.fromkeys(self._targets.values()):
            found = resolve(target, self._runtime.environment)
            site = self._sites[target] = Site(found, self._runtime, _open, native=True)
            site.home.channel.get_state(try_to_connect=True)
            self._direct[target] = Direct(site.home, site.pick)

    async def close(self) -> None:
        """Close the channels; calls in flight are cancelled."""
        sites, self._sites = self._sites, {}
        self._direct.clear()
        self._of_method.clear()
        for site in sites.values():
            await site.close()
            await site.home.close()

    @property
    def is_open(self) -> bool:
        return len(self._sites) == len(set(self._targets.values()))

    def find(self, method: str) -> Direct:
        """Return the way to `/package.Service/Method`."""
        direct = self._of_method.get(method)
        if direct is None:
            service = method[1:].partition("/")[0]
            direct = self._of_method[method] = self._direct[self._targets[service]]
        return direct

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
        return f"<Backends {len(self._sites)} of {len(set(self._targets.values()))} open>"


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
