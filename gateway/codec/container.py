"""How JSON arrays and objects fill repeated and map fields, each bad element a fault of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.protobuf.message import Message

from gateway.codec.fault import Fault, Faults, UnknownName, add, full, join, mismatch, sentence, shown, under
from gateway.codec.leaf import Leaf

Decode = Callable[[object, Message, int], Faults]
"""Reads a JSON value into an empty message, at most so many messages deep; paths are relative to the message."""


def fill_list(faults: Faults, path: str, target: Any, value: object, leaf: Leaf, lenient: bool) -> Faults:  # noqa: FBT001 - called from generated source, by position
    """Append the elements of an array to a repeated scalar field; `lenient` skips unknown enum names."""
    if type(value) is not list:
        return mismatch(faults, path, value, f"an array, each element {leaf.expected}")
    if leaf.uniform(value):
        try:
            target.extend(value)
        except ValueError:  # out of range, or an unpaired surrogate: below finds which, and the others
            del target[:]
        else:
            return faults
    for index, element in enumerate(value):
        try:
            target.append(leaf.read(element))
        except ValueError as error:
            if lenient and isinstance(error, UnknownName):
                continue
            faults = mismatch(faults, f"{path}[{index}]", element, leaf.expected, error)
            if full(faults):
                break
    return faults


def fill_messages(
    faults: Faults, path: str, append: Callable[[], Message], value: object, decode: Decode, depth: int
) -> Faults:
    """Append the elements of an array to a repeated message field."""
    if type(value) is not list:
        return mismatch(faults, path, value, "an array")
    for index, element in enumerate(value):
        if inner := decode(element, append(), depth):
            faults = under(faults, f"{path}[{index}]", inner)
            if full(faults):
                break
    return faults


def fill_map(
    faults: Faults,
    path: str,
    target: Any,
    value: object,
    key_leaf: Leaf,
    leaf: Leaf,
    lenient: bool,  # noqa: FBT001 - called from generated source, by position
) -> Faults:
    """Put the members of an object into a map of scalars."""
    if type(value) is not dict:
        return mismatch(faults, path, value, "an object")
    read_key, read = key_leaf.read, leaf.read
    for name, element in value.items():
        try:
            key = read_key(name)
        except ValueError as error:
            faults = _bad_key(faults, path, name, key_leaf, error)
        else:
            try:
                target[key] = read(element)
            except ValueError as error:
                if lenient and isinstance(error, UnknownName):
                    continue
                faults = mismatch(faults, _entry(path, name), element, leaf.expected, error)
        if faults and full(faults):
            break
    return faults if len(target) == len(value) else _second_spellings(faults, path, value, key_leaf)


def fill_message_map(
    faults: Faults, path: str, target: Any, value: object, key_leaf: Leaf, decode: Decode, depth: int
) -> Faults:
    """Put the members of an object into a map of messages."""
    if type(value) is not dict:
        return mismatch(faults, path, value, "an object")
    for name, element in value.items():
        try:
            entry = target[key_leaf.read(name)]
        except ValueError as error:
            faults = _bad_key(faults, path, name, key_leaf, error)
        else:
            if inner := decode(element, entry, depth):
                faults = under(faults, _entry(path, name), inner)
        if faults and full(faults):
            break
    return faults if len(target) == len(value) else _second_spellings(faults, path, value, key_leaf)


def _second_spellings(faults: Faults, path: str, value: dict[str, object], key_leaf: Leaf) -> Faults:
    """Return `faults` with the keys of an object that are one key of the map, such as "1" and "01"."""
    spelled: dict[object, str] = {}
    for name in value:
        try:
            key = key_leaf.read(name)
        except ValueError:  # has its fault already
            continue
        if (first := spelled.setdefault(key, name)) is not name:
            words = f"given twice, as {shown(first)} and {shown(name)}"
            faults = add(faults, _entry(path, first), sentence(words))
            if full(faults):
                break
    return faults


def _bad_key(faults: Faults, path: str, name: object, leaf: Leaf, error: ValueError) -> list[Fault]:
    return mismatch(faults, _entry(path, name), name, f"a key that is {leaf.expected}", error)


def _entry(path: str, key: object) -> str:
    return join(path, f"[{shown(key)}]")
