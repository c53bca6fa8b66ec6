"""Which HTTP requests that used to reach a method reach it no more, or cannot say what they used to.

Whether an old route lives on is not read off its template but tried: paths that it took are looked up among the new routes. So
a template that became wider, or a method that became any method, is no break.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Final
from urllib.parse import quote

from google.protobuf.descriptor import MethodDescriptor

from gateway.route.table import Binding
from gateway.route.template import Kind, Segment, Template
from gateway.route.trie import Trie
from mesh.policy.problem import Problem

_REPEATS: Final = (1, 0, 3)
"""How many segments are tried in the place of `**`."""


def compare_routes(
    old: Sequence[Binding],
    new: Sequence[Binding],
    kept: Mapping[str, tuple[MethodDescriptor, MethodDescriptor]],
) -> list[Problem]:
    """Return the breaks of the routes whose methods are `kept`."""
    before, after = _index(old), _index(new)
    text = _unlike(binding.template for binding in (*old, *new))
    found: dict[Problem, None] = {}
    for binding in old:
        if binding.full_method not in kept:
            continue
        where = f"{binding.http_method} {binding.template}"
        for path in _paths(binding.template, text):
            # Another route may have taken this path before, and may take it now.
            if before.find(binding.http_method, path).route is not binding:
                continue
            now = after.find(binding.http_method, path).route
            found |= {Problem(where, what): None for what in _compare(binding, now)}
    return list(found)


def _compare(was: Binding, now: Binding | None) -> Iterator[str]:
    if now is None:
        yield f"is gone; it reached {was.method.full_name}"
        return
    if now.full_method != was.full_method:
        yield f"reaches {now.method.full_name}, reached {was.method.full_name}"
        return
    if was.body and was.body != now.body:
        yield f'the body was "{was.body}", is {_shown(now.body, "not read")}'
    if was.response_body != now.response_body:
        old, new = (_shown(binding.response_body, "the whole message") for binding in (was, now))
        yield f"the response's body was {old}, is {new}"
    lost = _parameters(was) - _parameters(now)
    # A field that is gone is a break of its own.
    shown = [f'"{name}"' for name in now.method.input_type.fields_by_name if name in lost]
    if shown:
        yield f"the query no longer takes {', '.join(shown)}"


def _parameters(binding: Binding) -> set[str]:
    """Return the fields of the request that the query can give."""
    if binding.body == "*":
        return set()
    bound = {variable.path[0] for variable in binding.template.variables if len(variable.path) == 1}
    return set(binding.method.input_type.fields_by_name) - {binding.body} - bound


def _shown(body: str, otherwise: str) -> str:
    return f'"{body}"' if body else otherwise


def _index(bindings: Sequence[Binding]) -> Trie[Binding]:
    return Trie((binding.http_method, binding.template, binding) for binding in bindings)


def _unlike(templates: Iterator[Template]) -> str:
    """Return a text that is no template's literal."""
    literals = {segment.text for template in templates for segment in template.segments}
    text = "x"
    while text in literals:
        text += "x"
    return text


def _paths(template: Template, text: str) -> Iterator[str]:
    """Return paths that the template matches, with `text` in the place of what is not literal."""
    open_ended = any(segment.kind is Kind.REST for segment in template.segments)
    verb = f":{quote(template.verb, safe='')}" if template.verb else ""
    for count in _REPEATS if open_ended else (1,):
        pieces = chain.from_iterable(_pieces(segment, text, count) for segment in template.segments)
        yield f"/{'/'.join(pieces)}{verb}"


def _pieces(segment: Segment, text: str, count: int) -> list[str]:
    if segment.kind is Kind.REST:
        return [text] * count
    return [text if segment.kind is Kind.ONE else quote(segment.text, safe="")]
