"""Decides which fields a PATCH changes: the paths of a FieldMask, exactly those that the JSON of the body names.

-   A nested object stands for what it names, so its leaves are listed; `{}` names nothing within, so the field itself is.
-   null names its field, which is then cleared. So do a wrapper's, a oneof member's and google.protobuf.Value's.
-   Arrays, maps, and messages whose JSON is not an object of their fields (Struct, Any, Timestamp) change as a whole.
-   What the path of the request says is which resource is meant, not a change.

`application/merge-patch+json` means the same, except where RFC 7396 is more precise: the members of a map change one by
one, null removes them, and AIP-161 has paths for them. What is free JSON cannot be merged by any path, and is refused.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any, Final, NamedTuple

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from gateway.codec.fault import join, shown, step
from gateway.codec.option import DEPTH_LIMIT
from gateway.codec.scalar import key_reader
from gateway.codec.shape import ANY, SPECIAL, VALUE, map_entry
from gateway.problem import VIOLATIONS_SHOWN, Violation
from gateway.schema.kind import is_message, message_of

FIELD_MASK: Final = "google.protobuf.FieldMask"
_FREE: Final = frozenset({ANY, VALUE, "google.protobuf.Struct"})
_PLAIN_KEY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|-?[0-9]+")
_NO_MERGE: Final = (
    "a merge patch cannot reach into free JSON: send application/json, which replaces the field as a whole"
)
_NO_KEY: Final = (
    "no path of a field mask leads to this key: send application/json, which replaces the map as a whole"
)
_EXTENSION: Final = "no path of a field mask leads to an extension: give the mask yourself"


class _Member(NamedTuple):
    """One field of a message, as the walk sees it."""

    name: str
    inner: Descriptor | None
    """The message to go on in: of the field, or of a map's values."""
    free: bool
    """Whether the field, or a map's values, are free JSON."""
    key: FieldDescriptor | None
    """A map's key."""
    known: Collection[str] | None
    """The names of an enum whose unknown names are skipped."""


class Mask:
    """The paths below one message type; the types within are looked at when a patch first reaches them."""

    __slots__ = ("_lenient", "_members", "_root", "fixed")

    def __init__(
        self, root: Descriptor, *, fixed: Collection[str] = (), ignore_unknown: bool = False
    ) -> None:
        """`fixed` are paths that are never part of a patch."""
        self._root = root
        self.fixed = frozenset(fixed)
        self._lenient = ignore_unknown
        self._members: dict[Descriptor, dict[str, _Member]] = {}
        self.members_of(root)

    def derive(self, value: dict[str, object], at: str, *, merge: bool) -> tuple[list[str], list[Violation]]:
        """Return the paths that `value` names and what is wrong with it; `at` says where it comes from.

        For a merge patch what null removes is taken out of `value`: it has no place in a message.
        """
        walk = _Walk(self, merge=merge)
        walk.message(self._root, value, "", at, DEPTH_LIMIT)
        return list(walk.paths), walk.violations

    def members_of(self, descriptor: Descriptor) -> dict[str, _Member]:
        """Return the fields of a message type, by both names of each."""
        members = self._members.get(descriptor)
        if members is None:
            members = {}
            for field in descriptor.fields:
                members[field.name] = members[field.json_name] = _member(field, lenient=self._lenient)
            self._members[descriptor] = members
        return members

    def __repr__(self) -> str:
        return f"<Mask of {self._root.full_name}>"


class _Walk:
    """One patch on its way to paths."""

    __slots__ = ("_mask", "_merge", "paths", "violations")

    def __init__(self, mask: Mask, *, merge: bool) -> None:
        self._mask = mask
        self._merge = merge
        self.paths: dict[str, None] = {}
        self.violations: list[Violation] = []

    def message(
        self, descriptor: Descriptor, value: dict[str, Any], prefix: str, at: str, depth: int
    ) -> None:
        members = self._mask.members_of(descriptor)
        for name, item in list(value.items()):
            member = members.get(name)
            if member is None:
                # An unknown name is for the codec to refuse or to skip.
                if name[:1] == "[" and descriptor.is_extendable:
                    self._refuse(at, step(name), _EXTENSION)
                continue
            path = prefix + member.name
            if path in self._mask.fixed:
                continue
            if item is None:
                self.paths[path] = None
                # Of a field in both spellings the codec says that it is given twice.
                if self._merge and not any(members.get(other) is member for other in value if other != name):
                    del value[name]
            elif type(item) is not dict:
                if member.known is None or type(item) is not str or item in member.known:
                    self.paths[path] = None
            elif self._merge and member.key is not None:
                self._entries(member, item, path, join(at, step(name)), depth)
            elif self._merge and member.free:
                self._refuse(at, step(name), _NO_MERGE)
            elif item and member.inner is not None and member.key is None:
                # Nested too deeply is for the codec to refuse, too.
                if depth:
                    self.message(member.inner, item, path + ".", join(at, step(name)), depth - 1)
            else:
                self.paths[path] = None

    def _entries(self, member: _Member, value: dict[str, Any], prefix: str, at: str, depth: int) -> None:
        """List the members of a map that a merge patch names."""
        for name, item in list(value.items()):
            key = _key(member.key, name)
            path = f"{prefix}.{key}"
            if not key:
                self._refuse(at, f"[{shown(name)}]", _NO_KEY)
            elif item is None:
                self.paths[path] = None
                del value[name]
            elif type(item) is dict and member.free:
                self._refuse(at, f"[{shown(name)}]", _NO_MERGE)
            elif type(item) is dict and item and member.inner is not None:
                if depth:
                    self.message(member.inner, item, path + ".", join(at, f"[{shown(name)}]"), depth - 1)
            else:
                self.paths[path] = None

    def _refuse(self, at: str, path: str, text: str) -> None:
        if len(self.violations) <= VIOLATIONS_SHOWN:
            self.violations.append(Violation(join(at, path), text))


def mask_field(descriptor: Descriptor) -> FieldDescriptor | None:
    """Return the field of a request that takes the mask of an update: `update_mask`, or the only one there is."""
    masks = [
        field
        for field in descriptor.fields
        if is_message(field) and message_of(field).full_name == FIELD_MASK
    ]
    named = [field for field in masks if field.name == "update_mask"]
    # AIP-157 has `read_mask` choose what an answer holds.
    others = [field for field in masks if field.name != "read_mask"]
    return named[0] if named else others[0] if len(others) == 1 else None


def _member(field: FieldDescriptor, *, lenient: bool) -> _Member:
    entry = map_entry(field)
    holder = field if entry is None else entry[1]
    inner = holder.message_type
    repeated = field.is_repeated and entry is None
    plain = inner is not None and inner.full_name not in SPECIAL and not repeated
    enum = field.enum_type
    return _Member(
        field.name,
        inner if plain else None,
        free=inner is not None and inner.full_name in _FREE and not repeated,
        key=None if entry is None else entry[0],
        # The codec skips a name it does not know: a path to the field would have it cleared.
        known=frozenset(enum.values_by_name) if enum is not None and lenient and not repeated else None,
    )


def _key(field: FieldDescriptor | None, name: str) -> str:
    """Return a map's key as a segment of a path; nothing where there is none."""
    # AIP-161: "Field masks may permit the specification of specific fields in a map, if and only if the map's keys are
    # either strings or integers".
    if field is None or field.type == FieldDescriptor.TYPE_BOOL:
        return ""
    try:
        text = str(key_reader(field).read(name))
    except ValueError:
        return name  # the codec says what is wrong with it
    if _PLAIN_KEY.fullmatch(text):
        return text
    # And: "Field masks should support string keys that contain characters that are problematic for the field mask
    # syntax, using the backtick character".
    return f"`{text}`" if "`" not in text else ""
