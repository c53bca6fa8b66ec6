"""How `mesh policy diff` reads two files and words what changes between them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mesh.config import document, restart
from mesh.config.diagnostic import Diagnostic, locate
from mesh.policy import table
from mesh.policy.change import Change, Method, changes
from mesh.policy.problem import Problems
from mesh.v1 import config_pb2

if TYPE_CHECKING:
    from gateway.schema.pool import Schema


class Line(NamedTuple):
    """One line for a person."""

    text: str
    colour: str | None


class Report(NamedTuple):
    """What changes, or why that cannot be said."""

    lines: list[Line]
    problems: list[Diagnostic]


def compare(old: Path, new: Path) -> Report:
    """Compare the policies of two files; what else they say is looked at only for what needs a restart.

    So that a file can be compared with its last version wherever that lies, nothing they refer to has to be there.
    """
    before, after = _read(old), _read(new)
    problems = [*before.diagnostics, *after.diagnostics]
    if problems:
        return Report([], problems)
    late = {problem.path: problem.message for problem in restart.needed(before.message, after.message)}
    schema = _schema(new.parent, after.message) or _schema(old.parent, before.message)
    found = changes(
        before.message.policies,
        after.message.policies,
        [Method(service.full_name, method.name) for service in schema.services for method in service.methods]
        if schema
        else (),
        schema.pool if schema else None,
    )
    lines = [_line(change) for change in found]
    lines += [Line(f"restart: {path}: {text}", "yellow") for path, text in late.items()]
    return Report(lines, [])


def _line(change: Change) -> Line:
    old, new = ("-" if value is None else value for value in (change.old, change.new))
    colour = "green" if change.old in {None, "false"} else "red" if change.new in {None, "false"} else None
    return Line(f"{change.scope}: {change.field}: {old} -> {new}", colour)


def _read(file: Path) -> document.Document[config_pb2.Environment]:
    text = document.read_text(file, str(file))
    if isinstance(text, Diagnostic):
        return document.Document(str(file), config_pb2.Environment(), {}, [text])
    parsed = document.parse(text, config_pb2.Environment(), file=str(file))
    _, problems = table.load(parsed.message.policies, Problems("policies"))
    parsed.diagnostics.extend(locate(str(file), parsed.lines, problems))
    return parsed


def _schema(folder: Path, environment: config_pb2.Environment) -> Schema | None:
    from gateway.schema import pool

    try:
        files = b"".join((folder / name).read_bytes() for name in environment.descriptors)
    except OSError:
        return None
    schema, problems = pool.read_set(files)
    return None if problems or not files else schema
