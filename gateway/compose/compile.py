"""Which compositions can be run: the option of a method, checked against descriptors, becomes a plan or problems.

Decided here, beyond types:
- A required step may not use the result of an optional one: when that is omitted there is nothing to send.
- Absence is visible: optional steps demand a `repeated gateway.v1.OmittedStep` field in the response.
- A step whose result nobody uses must have an effect: one declared NO_SIDE_EFFECTS is refused.
- A composed method may call composed methods, but never, through any of them, itself.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import Descriptor, MethodDescriptor, ServiceDescriptor
from google.protobuf.message_factory import GetMessageClass

from gateway.compose import shape as shapes
from gateway.compose import source as sources
from gateway.compose.binding import Filling, check_sources, compile_bindings
from gateway.compose.expr import ExpressionError, Literal, parse
from gateway.compose.graph import cycles
from gateway.compose.plan import FanOut, Node, Plan
from gateway.compose.source import Frame, Root
from gateway.compose.spec import Compose, ForEach, Step, read_option
from mesh.policy.problem import Problem, Problems, suggest

REQUEST = "request"
OMITTED_STEP = "gateway.v1.OmittedStep"
MOST_IN_FLIGHT = 1000

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_RESERVED = frozenset({REQUEST, "true", "false"})
_NO_SIDE_EFFECTS = descriptor_pb2.MethodOptions.NO_SIDE_EFFECTS

Services = Mapping[str, ServiceDescriptor]
"""The services that can be called, by full name."""


def compile_plans(services: Services) -> tuple[dict[str, Plan], tuple[Problem, ...]]:
    """Compile every composed method of the services; return plans by full method name, and all problems.

    The plans may be used only when there is no problem.
    """
    plans: dict[str, Plan] = {}
    problems: list[Problem] = []
    for service in services.values():
        for method in service.methods:
            compose = read_option(method)
            if compose is not None:
                plan, found = compile_plan(method, compose, services)
                problems.extend(found)
                if plan is not None:
                    plans[plan.method] = plan
    calls = {
        name: [node.rpc for node in plan.nodes if node.rpc in plans and node.rpc != name]
        for name, plan in plans.items()
    }
    problems.extend(
        Problem(
            f"{_dotted(cycle[0])} (gateway.v1.compose)",
            f"composed methods call each other: {' -> '.join(cycle)}",
        )
        for cycle in cycles(calls)
    )
    return plans, tuple(problems)


def compile_plan(
    method: MethodDescriptor, compose: Compose, services: Services
) -> tuple[Plan | None, tuple[Problem, ...]]:
    """Compile one composition; return its plan, or None and every problem."""
    place = Problems(f"{method.full_name} (gateway.v1.compose)")
    plan = _Compiler(method, compose, services, place).compile()
    return plan, tuple(place.list)


@dataclasses.dataclass(frozen=True, slots=True)
class _Draft:
    """A step, as far as it is understood."""

    step: Step
    place: Problems
    method: MethodDescriptor | None
    filling: Filling | None
    """None when its method is unknown."""
    fan_out: FanOut | None
    needs: Mapping[str, Problems]
    """The steps that it uses, and where first."""


class _Compiler:
    """The compilation of one method; its parts share the names in scope and the list of problems."""

    def __init__(
        self, method: MethodDescriptor, compose: Compose, services: Services, place: Problems
    ) -> None:
        self._method = method
        self._compose = compose
        self._services = services
        self._place = place
        self._roots = {REQUEST: Root(0, shapes.of_message(method.input_type))}

    def compile(self) -> Plan | None:
        if self._method.client_streaming or self._method.server_streaming:
            self._place.add("only a unary method can be composed, and this one streams")
        if not self._compose.steps:
            self._place.field("steps").add("is empty: a composition needs at least one backend call")
        places = [self._place.field("steps").item(index) for index in range(len(self._compose.steps))]
        methods = [
            self._find_method(step.call, place.field("call"))
            for step, place in zip(self._compose.steps, places, strict=True)
        ]
        for slot, (step, place, method) in enumerate(
            zip(self._compose.steps, places, methods, strict=True), start=1
        ):
            self._declare(step, place.field("name"), slot, method)
        drafts = [
            self._draft(step, place, method)
            for step, place, method in zip(self._compose.steps, places, methods, strict=True)
        ]
        response = compile_bindings(
            self._compose.response, self._method.output_type, self._roots, self._place.field("response")
        )
        for cycle in cycles({draft.step.name: list(draft.needs) for draft in drafts}):
            self._place.field("steps").add(f"steps need each other: {' -> '.join(cycle)}")
        self._check_optional(drafts)
        self._check_used(drafts, response)
        omitted_field = self._omitted_field(drafts)
        return None if self._place else self._plan(drafts, response, omitted_field)

    def _find_method(self, call: str, place: Problems) -> MethodDescriptor | None:
        service_name, slash, name = call.partition("/")
        if not (service_name and slash and name) or "/" in name:
            place.add(f'"{call}" is not of the form "package.Service/Method"')
            return None
        service = self._services.get(service_name)
        if service is None:
            place.add(f'unknown service "{service_name}"{suggest(service_name, self._services)}')
            return None
        method = service.methods_by_name.get(name)
        if method is None:
            place.add(f'{service_name} has no method "{name}"{suggest(name, service.methods_by_name)}')
        elif method.full_name == self._method.full_name:
            place.add(f'"{call}" is the composed method itself')
        elif method.client_streaming or method.server_streaming:
            place.add(f'"{call}" streams: a step can only call a unary method')
        return method

    def _declare(self, step: Step, place: Problems, slot: int, method: MethodDescriptor | None) -> None:
        """Bring the step's result into scope."""
        if not _NAME.fullmatch(step.name):
            place.add(f'"{step.name}" is not a lower_snake_case name')
        elif step.name in _RESERVED:
            place.add(f'"{step.name}" has another meaning in expressions')
        elif step.name in self._roots:
            place.add(f'"{step.name}" is also the name of steps[{self._roots[step.name].slot - 1}]')
        else:
            shape = None if method is None else shapes.of_message(method.output_type)
            if shape is not None and step.for_each is not None:
                shape = shape.list()
            self._roots[step.name] = Root(slot, shape)

    def _draft(self, step: Step, place: Problems, method: MethodDescriptor | None) -> _Draft:
        if step.timeout is not None and step.timeout <= 0:
            place.field("timeout").add(f"{step.timeout:g} s is not more than 0")
        roots = self._roots
        needs: dict[str, Problems] = {}
        fan_out = None
        if step.for_each is not None:
            at = place.field("for_each")
            fan_out, item = self._fan_out(step.for_each, at, needs)
            roots = self._with_item(step.for_each, item, at.field("as"))
        filling, at = None, place.field("request")
        if method is None:
            uses = check_sources(step.request, roots, at)
        else:
            filling = compile_bindings(step.request, method.input_type, roots, at)
            uses = filling.uses
        for field, root in uses:
            if root in self._roots and root != REQUEST:
                needs.setdefault(root, at.key(field))
        return _Draft(step, place, method, filling, fan_out, needs)

    def _fan_out(
        self, each: ForEach, place: Problems, needs: dict[str, Problems]
    ) -> tuple[FanOut | None, Root]:
        """Return the compiled fan-out, and the root that its item is."""
        if not 1 <= each.max_concurrency <= MOST_IN_FLIGHT:
            place.field("max_concurrency").add(
                f"{each.max_concurrency} is not between 1 and {MOST_IN_FLIGHT}; it has no default"
            )
        slot = len(self._compose.steps) + 1
        over = place.field("over")
        try:
            parsed = parse(each.over)
            if isinstance(parsed, Literal):
                raise ExpressionError("a literal is no list")
            if parsed.root in self._roots and parsed.root != REQUEST:
                needs[parsed.root] = over
            source = sources.resolve(parsed, self._roots)
            if source is None:
                return None, Root(slot, None)
            if not source.shape.repeated:
                raise ExpressionError(f'"{parsed}" is {source.shape}, not a list')
        except ExpressionError as error:
            over.add(str(error))
            return None, Root(slot, None)
        return FanOut(_items(source), each.max_concurrency), Root(slot, source.shape.element())

    def _with_item(self, each: ForEach, item: Root, place: Problems) -> dict[str, Root]:
        """Return the names in scope with the item's."""
        if not _NAME.fullmatch(each.variable):
            place.add(f'"{each.variable}" is not a lower_snake_case name')
        elif each.variable in _RESERVED:
            place.add(f'"{each.variable}" has another meaning in expressions')
        elif each.variable in self._roots:
            place.add(f'"{each.variable}" is also the name of a step')
        else:
            return {**self._roots, each.variable: item}
        return self._roots

    def _check_optional(self, drafts: Sequence[_Draft]) -> None:
        optional = {draft.step.name for draft in drafts if draft.step.optional}
        for draft in drafts:
            if not draft.step.optional:
                for need, place in draft.needs.items():
                    if need in optional:
                        place.add(
                            f'"{draft.step.name}" is required and uses "{need}", which is optional: '
                            f'make "{need}" required, or "{draft.step.name}" optional too'
                        )

    def _check_used(self, drafts: Sequence[_Draft], response: Filling) -> None:
        used = {use.root for use in response.uses}.union(*(draft.needs for draft in drafts))
        for draft in drafts:
            if draft.method is None or draft.step.name in used or draft.step.name not in self._roots:
                continue
            if draft.method.GetOptions().idempotency_level == _NO_SIDE_EFFECTS:
                draft.place.add(
                    f'nothing uses the result of "{draft.step.name}", and {draft.method.full_name} '
                    "is declared to have no other effect (NO_SIDE_EFFECTS)"
                )

    def _omitted_field(self, drafts: Sequence[_Draft]) -> str:
        """Return the response's field that lists omitted steps."""
        output = self._method.output_type
        fields = [
            field.name for field in output.fields if _lists_omitted(field.message_type) and field.is_repeated
        ]
        for binding in self._compose.response:
            if binding.field in fields:
                self._place.field("response").key(binding.field).add(
                    "is filled by the gateway with the omitted steps"
                )
        if not any(draft.step.optional for draft in drafts):
            return ""
        if len(fields) == 1:
            return fields[0]
        has = (
            f"{output.full_name} has {len(fields)} ({', '.join(fields)})"
            if fields
            else f"{output.full_name} has none"
        )
        first = next(draft for draft in drafts if draft.step.optional)
        first.place.field("optional").add(
            f"optional steps need exactly one `repeated {OMITTED_STEP}` field in the response, and {has}"
        )
        return ""

    def _plan(self, drafts: Sequence[_Draft], response: Filling, omitted_field: str) -> Plan:
        names = {draft.step.name: index for index, draft in enumerate(drafts)}
        needs = [tuple(sorted(names[need] for need in draft.needs)) for draft in drafts]
        nodes = tuple(
            Node(
                index=index,
                slot=index + 1,  # the request comes before all results
                step=draft.step,
                rpc=f"/{draft.step.call}",
                needs=needs[index],
                unlocks=tuple(other for other in range(len(drafts)) if index in needs[other]),
                request=draft.filling.build,
                response_class=GetMessageClass(draft.method.output_type),
                fan_out=draft.fan_out,
                fills=tuple(use.field for use in response.uses if use.root == draft.step.name),
            )
            for index, draft in enumerate(drafts)
            if draft.method is not None and draft.filling is not None
        )
        return Plan(
            method=f"/{self._method.containing_service.full_name}/{self._method.name}",
            request_class=GetMessageClass(self._method.input_type),
            response_class=GetMessageClass(self._method.output_type),
            nodes=nodes,
            response=response.build,
            omitted_field=omitted_field,
            response_lines=tuple(f"{binding.field} = {binding.value}" for binding in self._compose.response),
        )


def _items(source: sources.Source) -> Callable[[Frame], Sequence[Any]]:
    slot, read = source.slot, source.plain
    return lambda frame: read(frame[slot])


def _lists_omitted(message: Descriptor | None) -> bool:
    return message is not None and message.full_name == OMITTED_STEP


def _dotted(method: str) -> str:
    return method.lstrip("/").replace("/", ".")
