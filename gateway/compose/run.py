"""What to do next in one execution of a plan: which calls start, which are no longer wanted, how it ends.

A run is the execution minus the waiting. It is told when calls end, and answers with calls to start and
calls to cancel; it performs nothing. Time comes in as an argument.

    start ──► calls ──► complete(call, outcome) ──► more calls ... ──► finished ──► result
                                                └─► calls to cancel

- A node starts when all it needs have answered. Nothing else holds it back.
- A fan-out keeps up to `max_concurrency` calls in flight and starts the next item when one ends. Its first
  failure is the node's failure; its other calls are cancelled.
- A required node that fails ends the run: all calls in flight are cancelled.
- An optional node that fails is omitted, and with it every node that needs it.
- The answer to a call that was cancelled is ignored, so a late one is harmless.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from google.protobuf.message import DecodeError, Message

from gateway.compose.plan import Node, Plan
from gateway.render.status import public_message
from mesh.call import CODE_NAMES, Code, Outcome


class Call:
    """One backend call to make."""

    __slots__ = ("item", "node", "request", "timeout")

    def __init__(self, node: Node, item: int, request: bytes, timeout: float | None) -> None:
        self.node = node
        self.item = item
        """The number of the item it is for; 0 where there is no fan-out."""
        self.request = request
        self.timeout = timeout
        """Seconds it may take: the step's own timeout, no more than what remains. None: as its policy says, within the
        deadline of the whole, which `invoke` knows."""

    def __repr__(self) -> str:
        return f"<Call {self.node.name}[{self.item}] timeout={self.timeout}>"


class Moves(NamedTuple):
    """What the shell is to do now. No call is in both lists."""

    start: list[Call]
    cancel: list[Call]


class Omission(NamedTuple):
    """An optional node that the response does without."""

    node: Node
    code: int
    details: str


class Result(NamedTuple):
    """How a composed call ended."""

    outcome: Outcome
    """`value` is the response message; or the failure of a required step, whose `details` name the step."""
    omitted: tuple[Omission, ...] = ()
    """In the order of the steps; the response lists them as well."""


EXPIRED: Final = Outcome(int(Code.DEADLINE_EXCEEDED), "the deadline passed before the call was made")


class _Fan:
    """The progress of one fan-out."""

    __slots__ = ("flying", "items", "left", "limit", "next", "results")

    def __init__(self, items: Sequence[Any], limit: float | None) -> None:
        self.items = items
        self.limit = limit
        self.next = 0
        self.left = len(items)
        self.results: list[Any] = [None] * len(items)
        self.flying: set[Call] = set()


class Run:
    """One execution of a plan, minus the waiting."""

    __slots__ = ("_deadline", "_fans", "_flying", "_frame", "_left", "_omitted", "_plan", "_waits", "failure")

    def __init__(self, plan: Plan, request: Message, deadline: float | None = None) -> None:
        self.failure: Outcome | None = None
        """How the required step that ended the run failed."""
        self._plan = plan
        self._deadline = deadline
        self._frame: list[Any] = [request] + [None] * len(plan.nodes)
        self._waits = [len(node.needs) for node in plan.nodes]
        self._left = len(plan.nodes)
        self._flying: set[Call] = set()
        self._fans: dict[int, _Fan] = {}
        self._omitted: dict[int, Omission] = {}

    @property
    def finished(self) -> bool:
        """No call will change the result any more."""
        return self._left == 0 or self.failure is not None

    def wants(self, call: Call) -> bool:
        """Tell whether the call is in flight and its end would be news."""
        return call in self._flying

    def start(self, now: float) -> list[Call]:
        """Return the calls that need no other."""
        moves = Moves([], [])
        for node in self._plan.nodes:
            if not node.needs:
                self._begin(node, now, moves)
        return moves.start

    def complete(self, call: Call, outcome: Outcome, now: float) -> Moves:
        """Record how a call ended; return what to do now."""
        moves = Moves([], [])
        if call not in self._flying:
            return moves
        self._flying.remove(call)
        node = call.node
        fan = None
        if node.fan_out is not None:
            fan = self._fans[node.index]
            fan.flying.remove(call)
        if outcome.code != 0:
            self._fail(node, outcome, moves, call.item)
            return moves
        try:
            value = node.response_class.FromString(outcome.value)
        except DecodeError as error:
            broken = f"{node.rpc} answered with no valid {node.response_class.DESCRIPTOR.full_name}: {error}"
            self._fail(node, Outcome(int(Code.INTERNAL), broken, error=error), moves, call.item)
            return moves
        if fan is None:
            self._settle(node, value, now, moves)
        else:
            self._land_item(call, fan, value, now, moves)
        return moves

    def result(self) -> Result:
        """Return how a finished run ended."""
        if self.failure is not None:
            return Result(self.failure)
        response = self._plan.response(self._frame)
        omitted = tuple(self._omitted[index] for index in sorted(self._omitted))
        if omitted:
            listed = getattr(response, self._plan.omitted_field)
            for node, code, details in omitted:
                # The response goes to the public, as an error would: without the addresses of backends.
                message = public_message(details, unavailable=code == Code.UNAVAILABLE)
                listed.add(step=node.name, status=CODE_NAMES[code], message=message, fields=node.fills)
        return Result(Outcome(0, value=response), omitted)

    def _begin(self, node: Node, now: float, moves: Moves) -> None:
        """Start a node whose needs are complete."""
        if self.failure is not None:
            return
        timeout = node.step.timeout
        if self._deadline is not None:
            remaining = self._deadline - now
            if remaining <= 0.0:
                self._fail(node, EXPIRED, moves)
                return
            if timeout is not None and remaining < timeout:
                timeout = remaining
        if node.fan_out is None:
            # Partial: a proto2 backend that misses a required field says so itself, as a status.
            request = node.request(self._frame).SerializePartialToString()
            self._fly(Call(node, 0, request, timeout), moves)
            return
        items = node.fan_out.items(self._frame)
        if not items:
            self._settle(node, [], now, moves)
            return
        fan = self._fans[node.index] = _Fan(items, None if timeout is None else now + timeout)
        for _ in range(min(node.fan_out.max_concurrency, len(items))):
            self._next_item(node, fan, timeout, moves)

    def _next_item(self, node: Node, fan: _Fan, timeout: float | None, moves: Moves) -> None:
        item = fan.next
        fan.next += 1
        # The item comes last in the frame, after all results: every plan's fan-outs share that slot.
        request = node.request([*self._frame, fan.items[item]]).SerializePartialToString()
        call = Call(node, item, request, timeout)
        fan.flying.add(call)
        self._fly(call, moves)

    def _fly(self, call: Call, moves: Moves) -> None:
        self._flying.add(call)
        moves.start.append(call)

    def _land_item(self, call: Call, fan: _Fan, value: Any, now: float, moves: Moves) -> None:
        """Record the result of one item, and start the next or settle the node."""
        fan.results[call.item] = value
        fan.left -= 1
        if fan.left == 0:
            self._settle(call.node, fan.results, now, moves)
        elif fan.next < len(fan.items):
            timeout = None if fan.limit is None else fan.limit - now
            if timeout is not None and timeout <= 0.0:
                self._fail(call.node, EXPIRED, moves, fan.next)
            else:
                self._next_item(call.node, fan, timeout, moves)

    def _settle(self, node: Node, value: Any, now: float, moves: Moves) -> None:
        """Record a node's result, and start what it was the last need of."""
        self._frame[node.slot] = value
        self._left -= 1
        for index in node.unlocks:
            self._waits[index] -= 1
            if self._waits[index] == 0 and index not in self._omitted:
                self._begin(self._plan.nodes[index], now, moves)

    def _fail(self, node: Node, outcome: Outcome, moves: Moves, item: int = 0) -> None:
        """Record a node's failure, and cancel what is in flight for nothing."""
        fan = self._fans.get(node.index)
        details = (
            outcome.details if fan is None else f"item {item + 1} of {len(fan.items)}: {outcome.details}"
        )
        if not node.step.optional:
            self.failure = outcome._replace(details=f'step "{node.name}": {details}', value=None)
            self._cancel(self._flying, moves)
        else:
            if fan is not None:
                self._cancel(fan.flying, moves)
            self._omit(node, outcome.code, details)

    def _cancel(self, calls: set[Call], moves: Moves) -> None:
        moves.cancel.extend(call for call in calls if call not in moves.start)
        moves.start[:] = [call for call in moves.start if call not in calls]
        self._flying = self._flying - calls

    def _omit(self, node: Node, code: int, details: str) -> None:
        """Do without a node, and without those that need it."""
        self._omitted[node.index] = Omission(node, code, details)
        self._left -= 1
        for index in node.unlocks:
            if index not in self._omitted:
                self._omit(self._plan.nodes[index], code, f'not called: it needs "{node.name}"')

    def __repr__(self) -> str:
        state = "failed" if self.failure is not None else f"left={self._left}"
        return f"<Run {self._plan.method} {state} in flight={len(self._flying)}>"
