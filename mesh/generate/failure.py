"""How protoc's complaints are shown: with the file as the user knows it, once each, without protoc's own noise."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

_PLACED = re.compile(r"(?P<name>[^:\s][^:]*\.proto):(?P<line>\d+):(?P<column>\d+): (?P<message>.*)")
_UNPLACED = re.compile(r"(?P<name>[^:\s][^:]*\.proto): (?P<message>.*)")
_IMPORT = re.compile(r'Import "(?P<name>[^"]+)" was not found or had errors\.')
_NOT_FOUND = "File not found."


def clean(stderr: str, shown: Callable[[str], str], searched: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return (errors, warnings); `shown` gives the path of an import name, `searched` the folders of the user."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    missing = {
        match["name"]
        for line in lines
        if (match := _UNPLACED.fullmatch(line)) and match["message"] == _NOT_FOUND
    }
    errors: dict[str, None] = {}
    warnings: dict[str, None] = {}
    for line in lines:
        placed = _PLACED.fullmatch(line)
        if placed is None:
            unplaced = _UNPLACED.fullmatch(line)
            if unplaced is None:
                errors[line] = None
            elif unplaced["name"] not in missing:
                errors[f"{shown(unplaced['name'])}: {_sentence(unplaced['message'])}"] = None
            continue
        place = f"{shown(placed['name'])}:{placed['line']}:{placed['column']}"
        message = placed["message"]
        imported = _IMPORT.fullmatch(message)
        if imported is not None:
            if imported["name"] in missing:
                errors[f'{place}: import "{imported["name"]}" is in none of {", ".join(searched)}'] = None
            continue  # its own errors are in the list
        if message.startswith("warning: "):
            warnings[f"{place}: {_sentence(message)}"] = None
        else:
            errors[f"{place}: {_sentence(message)}"] = None
    return list(errors), list(warnings)


def _sentence(message: str) -> str:
    return message.strip().removesuffix(".")
