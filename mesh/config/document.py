"""How YAML or JSON text becomes a protobuf message: by ProtoJSON's rules, with every problem and its line.

The schema is the proto, so a file and an API share it. Structure (unknown, doubled and misspelt keys, lists, maps) is
decided here, where the line is known; each single value is handed to protobuf's own ParseDict, so that what a value
may look like is never decided twice. Only the wording of a refusal is ours.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

import yaml
from google.protobuf import json_format
from google.protobuf.message import Message

from mesh.config import value as leaf
from mesh.config.diagnostic import Diagnostic, locate
from mesh.policy.problem import Problems

M = TypeVar("M", bound=Message)


@dataclasses.dataclass(frozen=True, slots=True)
class Document(Generic[M]):
    """A message read from text, what was wrong with the text, and where each path is written."""

    file: str
    message: M
    lines: Mapping[str, int]
    """Line, from 1, of each path such as `services[1].instances`, in proto field names."""
    diagnostics: list[Diagnostic]


def read_text(file: Path, shown: str) -> str | Diagnostic:
    """Return a file's text, or why there is none; `shown` is the file as the problem names it."""
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        return Diagnostic(shown, None, None, "", f"cannot be read: {error.strerror}")
    except UnicodeDecodeError as error:
        return Diagnostic(shown, None, None, "", f"not UTF-8: {error.reason} at byte {error.start}")


def parse(
    text: str, message: M, *, file: str, skipped: Mapping[str, str | None] | None = None
) -> Document[M]:
    """Fill the message from the text; fields with problems are left out. `file` only names the text in problems.

    `skipped` names keys of the outermost mapping that are not the message's business, and what a key must say, if anything.
    """
    try:
        # CSafeLoader builds no Python objects but strings, numbers, lists and mappings.
        root = yaml.compose(text, Loader=yaml.CSafeLoader)
    except yaml.YAMLError as error:
        return Document(file, message, {}, [_syntax(error, text, file)])
    try:
        return _read(root, message, file, skipped or {})
    except RecursionError:
        return Document(file, message, {}, [Diagnostic(file, None, None, "", "nested too deeply")])


def _read(root: yaml.Node | None, message: M, file: str, skipped: Mapping[str, str | None]) -> Document[M]:
    reader = _Reader()
    at = Problems()
    if root is not None:
        cycle = _cycle(root, set(), set())
        if cycle is not None:
            line = cycle.start_mark.line + 1
            return Document(file, message, {}, [Diagnostic(file, line, None, "", "an anchor holds itself")])
        if skipped and isinstance(root, yaml.MappingNode):
            root = reader.without(root, skipped, at)
        reader.message(root, message, at)
    return Document(file, message, reader.lines, locate(file, reader.lines, at.list))


def _syntax(error: yaml.YAMLError, text: str, file: str) -> Diagnostic:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        context = ""
        if error.context and error.context_mark is not None:
            context = f"{error.context}, from line {error.context_mark.line + 1}, "
        return Diagnostic(file, mark.line + 1, mark.column + 1, "", f"not YAML: {context}{error.problem}")
    if isinstance(error, yaml.reader.ReaderError):
        # libyaml counts bytes.
        before = text.encode("utf-8", "surrogatepass")[: error.position].decode("utf-8", "replace")
        line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
        return Diagnostic(
            file, line, column, "", f"not YAML: {error.reason} (character {error.character:#x})"
        )
    return Diagnostic(file, None, None, "", f"not YAML: {error}")


def _cycle(node: yaml.Node, above: set[int], done: set[int]) -> yaml.Node | None:
    if id(node) in above:
        return node
    if id(node) in done or isinstance(node, yaml.ScalarNode):
        return None
    above.add(id(node))
    children = (
        (child for pair in node.value for child in pair) if isinstance(node, yaml.MappingNode) else node.value
    )
    for child in children:
        found = _cycle(child, above, done)
        if found is not None:
            return found
    above.discard(id(node))
    done.add(id(node))
    return None


class _Reader:
    """One walk over the nodes, beside the descriptors."""

    def __init__(self) -> None:
        self.lines: dict[str, int] = {}

    def without(
        self, root: yaml.MappingNode, skipped: Mapping[str, str | None], at: Problems
    ) -> yaml.MappingNode:
        """Return a mapping without some of its keys, once what they say has been checked."""
        kept = []
        for key, value in root.value:
            if not isinstance(key, yaml.ScalarNode) or key.value not in skipped:
                kept.append((key, value))
                continue
            wanted = skipped[key.value]
            if wanted is not None and value.value != wanted:
                here = at.field(key.value)
                self._place(here, key.start_mark.line + 1)
                here.add(f'{leaf.shown(value)} is not "{wanted}"')
        return yaml.MappingNode(root.tag, kept, root.start_mark, root.end_mark)

    def message(self, node: yaml.Node, into: Message, at: Problems) -> None:
        """Fill one message from a mapping node."""
        if not isinstance(node, yaml.MappingNode):
            if not leaf.is_null(node):
                at.add(f"{leaf.shown(node)} is not a mapping of the fields of {into.DESCRIPTOR.full_name}")
            return
        fields: dict[str, leaf.Field] = {field.name: field for field in into.DESCRIPTOR.fields}
        # "Parsers accept both the lowerCamelCase name and the original proto field name." - ProtoJSON
        names = {field.json_name: name for name, field in fields.items()}
        oneofs: dict[str, str] = {}
        for name, value, here in self._entries(node, at, at.field, names):
            field = fields.get(name)
            if field is None:
                here.add(f"unknown field{leaf.choice(name, fields)}")
                continue
            # "null is an accepted value for all field types and treated as the default value" - ProtoJSON
            if leaf.is_null(value) and not leaf.takes_null(field):
                continue
            oneof = field.containing_oneof
            if oneof is not None and oneofs.setdefault(oneof.name, name) != name:
                here.add(f"cannot be given together with {oneofs[oneof.name]}")
                continue
            self._field(value, into, field, here)

    def _entries(
        self,
        node: yaml.MappingNode,
        at: Problems,
        cursor: Callable[[str], Problems],
        names: Mapping[str, str],
    ) -> Iterator[tuple[str, yaml.Node, Problems]]:
        """Yield each key once; what merge keys (`<<`) bring comes after what is written out, and yields to it."""
        seen: dict[str, int] = {}
        merges = []
        for key, value in node.value:
            line = key.start_mark.line + 1
            if key.tag == "tag:yaml.org,2002:merge":
                merges += [(line, source) for source in _merged(value)]
                continue
            if not isinstance(key, yaml.ScalarNode):
                at.add(f"a key of a mapping must be text, on line {line}")
                continue
            name = names.get(key.value, key.value)
            here = cursor(name)
            self._place(here, line)
            if name in seen:
                here.add(f"given twice, on line {seen[name]} and on line {line}")
                continue
            seen[name] = line
            yield name, value, here
        for line, source in merges:
            if not isinstance(source, yaml.MappingNode):
                at.add(f"{leaf.shown(source)} cannot be merged: << takes mappings, on line {line}")
                continue
            for name, value, here in self._entries(source, at, cursor, names):
                if name not in seen:
                    seen[name] = line
                    yield name, value, here

    def _field(self, node: yaml.Node, into: Message, field: leaf.Field, at: Problems) -> None:
        if leaf.is_map(field):
            self._map(node, into, field, at)
        elif field.is_repeated:
            self._list(node, into, field, at)
        elif leaf.has_fields(field):
            child = getattr(into, field.name)
            child.SetInParent()
            self.message(node, child, at)
        else:
            self._leaf(node, into, field, at, _alone)

    def _list(self, node: yaml.Node, into: Message, field: leaf.Field, at: Problems) -> None:
        if not isinstance(node, yaml.SequenceNode):
            at.add(f"{leaf.shown(node)} is not a list")
            return
        for index, item in enumerate(node.value):
            here = at.item(index)
            self._place(here, item.start_mark.line + 1)
            if leaf.is_null(item) and not leaf.takes_null(field):
                here.add("an element of a list must not be empty")
            elif leaf.has_fields(field):
                self.message(item, getattr(into, field.name).add(), here)
            else:
                self._leaf(item, into, field, here, _element)

    def _map(self, node: yaml.Node, into: Message, field: leaf.Field, at: Problems) -> None:
        if not isinstance(node, yaml.MappingNode):
            at.add(f"{leaf.shown(node)} is not a mapping")
            return
        kind = field.message_type.fields_by_name["value"]
        for key, value, here in self._entries(node, at, at.key, {}):
            if leaf.is_null(value) and not leaf.takes_null(kind):
                here.add("a value of a mapping must not be empty")
            elif leaf.has_fields(kind):
                entry = _parsed(into, field, {key: {}})
                if entry is None:
                    here.add(f"{json.dumps(key)} cannot be a key of this mapping")
                    continue
                (child,) = getattr(entry, field.name).values()
                self.message(value, child, here)
                into.MergeFrom(entry)
            else:
                self._leaf(value, into, field, here, functools.partial(_entry, key), kind)

    @staticmethod
    def _leaf(
        node: yaml.Node,
        into: Message,
        field: leaf.Field,
        at: Problems,
        wrap: Callable[[Any], Any],
        kind: leaf.Field | None = None,
    ) -> None:
        """Set one value; `wrap` puts it into the list or map that ParseDict expects of the field."""
        kind = kind or field
        try:
            value = leaf.construct(node)
        except yaml.MarkedYAMLError as error:
            at.add(f"{leaf.shown(node)} is not a value: {error.problem}")
            return
        refusal = leaf.refusal(kind, node, value)
        parsed = None if refusal else _parsed(into, field, wrap(value))
        if parsed is None:
            at.add(refusal or f"{leaf.shown(node)} is not {leaf.kind(kind)}")
        else:
            into.MergeFrom(parsed)

    def _place(self, at: Problems, line: int) -> None:
        self.lines.setdefault(at.path, line)


def _parsed(like: Message, field: leaf.Field, value: Any) -> Message | None:
    # In a message of its own: ParseDict clears a repeated field before it fills it.
    parsed = type(like)()
    try:
        return json_format.ParseDict({field.name: value}, parsed)
    except (json_format.ParseError, RecursionError):
        return None


def _merged(node: yaml.Node) -> list[yaml.Node]:
    return list(node.value) if isinstance(node, yaml.SequenceNode) else [node]


def _alone(value: Any) -> Any:
    return value


def _element(value: Any) -> Any:
    return [value]


def _entry(key: str, value: Any) -> Any:
    return {key: value}
