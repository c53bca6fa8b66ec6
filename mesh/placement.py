"""Where an application's own stages sit among ours: placed by name, checked against the ORDER table."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Final, Literal, NamedTuple, TypeAlias

from mesh.call import Side
from mesh.contract import Stage
from mesh.errors import ChainError
from mesh.order import BOTH, ORDER, Slot, Span, check
from mesh.policy.problem import suggest
from mesh.stage.scope import Scope

Source: TypeAlias = Stage | type[Stage] | Callable[[Scope], Stage | None]
"""A stage for all methods, a class that makes one for each method, or a function of the scope that may also decline."""

_SPANS: Final = {"call": Span.CALL, "attempt": Span.ATTEMPT}


class Placed(NamedTuple):
    """A stage of the application, and where it sits; made by `place`."""

    name: str
    build: Callable[[Scope], Stage | None]
    says: str
    """What it does, for `explain`."""
    after: str
    before: str
    span: Span


def place(
    stage: Source, *, after: str = "", before: str = "", per: Literal["call", "attempt"] = "call"
) -> Placed:
    """Say where a stage of your own sits: right after one of the mesh's stages, right before one, or between two.

    `stage` is a Stage for all methods; a class of them, made without arguments once for each method; or a function that
    is given the scope (method, target, side, policy) and returns a Stage, or None where there is to be none. Its name is
    the class's `name`, or the function's. A stage per call sees what the application asked for, retries included; one
    per attempt sees each try.

    Raises ChainError for what can be no stage. Names of stages are those of docs/stages.md and of `mesh explain`; they
    are checked when the channel or server is made.
    """
    if isinstance(stage, Stage) or (inspect.isclass(stage) and issubclass(stage, Stage)):
        name = stage.name
        if name == Stage.name:
            what = stage if inspect.isclass(stage) else type(stage)
            raise ChainError(f'{what.__name__} needs a name of its own: name = "..." in the class')
    elif callable(stage) and not inspect.isclass(stage):
        name = getattr(stage, "__name__", type(stage).__name__)
    else:
        raise ChainError(
            f"{stage!r} is neither a mesh.Stage, nor a class of them, nor a function that returns one"
        )
    if per not in _SPANS:
        raise ChainError(f'stage "{name}": per={per!r} is neither "call" nor "attempt"')
    if not after and not before:
        raise ChainError(f'stage "{name}": say where it sits, with after="..." or before="..."')
    says = (inspect.getdoc(stage) or "a stage of the application").partition("\n")[0]
    return Placed(name, _build(stage), says, after, before, _SPANS[per])


def extend(placed: Sequence[Placed], side: Side, order: Sequence[Slot] = ORDER) -> tuple[Slot, ...]:
    """Return the order with the application's stages in their places; raises ChainError with all that cannot be."""
    slots = list(order)
    broken: list[str] = []
    for one in placed:
        wrong = _refusal(one, slots, side)
        if wrong:
            broken.append(f'stage "{one.name}": {wrong}')
            continue
        slots.insert(_position(one, slots, frozenset(other.name for other in placed)), _slot(one))
    if broken:
        raise ChainError("; ".join(broken))
    check(slots)
    return tuple(slots)


def _refusal(one: Placed, slots: Sequence[Slot], side: Side) -> str:
    names = [slot.name for slot in slots if side in slot.sides]
    if one.name in {slot.name for slot in slots}:
        return "there is a stage of this name already"
    for anchor in (one.after, one.before):
        if anchor and anchor not in names:
            elsewhere = any(slot.name == anchor for slot in slots)
            why = f"not a stage of a {side.value}" if elsewhere else "not a stage"
            hint = suggest(anchor, names) or f"; there are {', '.join(names)}"
            return f'"{anchor}" is {why}{hint}'
    if one.after and one.before and _index(slots, one.after) > _index(slots, one.before):
        return (
            f"{one.before} runs before {one.after}, so nothing is after {one.after} and before {one.before}"
        )
    if not _fits(one, slots):
        beside = slots[_index(slots, one.before or one.after)]
        if beside.span is Span.BETWEEN:
            return f"{beside.name} is between two attempts: stages per call are before it, those per attempt after"
        return (
            f"it is per {one.span.value}, but at {beside.name} stages are per {beside.span.value}; "
            f'say per="{beside.span.value}", or place it elsewhere'
        )
    return ""


def _position(one: Placed, slots: Sequence[Slot], placed: frozenset[str]) -> int:
    """Return where it goes: as near to what it names as its span allows."""
    if one.before:
        index = _index(slots, one.before)
        # What is between attempts is one place: a stage per call before any of it comes before all of it.
        while one.span is Span.CALL and index and slots[index - 1].span is Span.BETWEEN:
            index -= 1
        return index
    index = _index(slots, one.after) + 1
    while index < len(slots) and (
        # Several after the same stage stand in the order they are given.
        slots[index].name in placed or (one.span is Span.ATTEMPT and slots[index].span is Span.BETWEEN)
    ):
        index += 1
    return index


def _fits(one: Placed, slots: Sequence[Slot]) -> bool:
    """Whether its span fits the slots on both sides of where it would stand."""
    spans = list(Span)
    index = _position(one, slots, frozenset())
    if one.after and _index(slots, one.after) >= index:
        return False
    below = slots[index - 1].span if index else Span.CALL
    above = slots[index].span if index < len(slots) else Span.ATTEMPT
    return spans.index(below) <= spans.index(one.span) <= spans.index(above)


def _index(slots: Sequence[Slot], name: str) -> int:
    return next(index for index, slot in enumerate(slots) if slot.name == name)


def _slot(one: Placed) -> Slot:
    where = " and ".join(
        f"{word} {anchor}" for word, anchor in (("after", one.after), ("before", one.before)) if anchor
    )
    return Slot(
        one.name,
        one.span,
        BOTH,
        "",
        one.build,
        lambda _: one.says,
        before=(one.before,) if one.before else (),
        because=f"the application placed it {where}",
    )


def _build(stage: Source) -> Callable[[Scope], Stage | None]:
    if isinstance(stage, Stage):
        return lambda _: stage
    if isinstance(stage, type):
        make: Callable[[], Stage] = stage
        return lambda _: make()
    return stage
