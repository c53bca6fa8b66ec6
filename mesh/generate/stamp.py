"""What an earlier run made, out of what: whether there is anything to do, and which files are ours to remove."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

_FORMAT = 1
_TOOLS = (
    "grpc-mesh",
    "grpcio-tools",
    "mypy-protobuf",
    "protobuf",
    "googleapis-common-protos",
    "protovalidate",
)


@dataclasses.dataclass(frozen=True, slots=True)
class Stamp:
    """One run. All files are relative to the folder of the stamp, so that a checkout may move."""

    folders: tuple[str, ...]
    """The folders that were generated."""
    options: Mapping[str, str]
    """What else decides about the outputs: versions of tools, other folders."""
    inputs: Mapping[str, str]
    """Digests of the protos generated and imported."""
    outputs: Mapping[str, str]
    """Digests of the files written."""

    def write(self, file: Path) -> None:
        text = json.dumps({"format": _FORMAT, **dataclasses.asdict(self)}, indent=1, sort_keys=True)
        file.write_text(f"{text}\n", encoding="utf-8")


def load(file: Path) -> Stamp | None:
    """Return the stamp of the last run; None without one, or with one that another version wrote."""
    try:
        tree = json.loads(file.read_text(encoding="utf-8"))
        if tree.pop("format") != _FORMAT:
            return None
        return Stamp(tuple(tree["folders"]), tree["options"], tree["inputs"], tree["outputs"])
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return None


def is_fresh(
    stamp: Stamp, *, folders: Sequence[str], options: Mapping[str, str], found: Iterable[str], base: Path
) -> bool:
    """Whether a run would make what is there: the same question, and nothing it read or wrote has changed.

    `found` are the protos now in the folders, relative to `base` as all files of the stamp.
    """
    return (
        stamp.folders == tuple(folders)
        and stamp.options == options
        and set(found) <= set(stamp.inputs)
        and all(digest(base / name) == expected for name, expected in stamp.inputs.items())
        and all(digest(base / name) == expected for name, expected in stamp.outputs.items())
    )


def digest(file: Path) -> str:
    """Return a file's digest; empty when it is not there."""
    try:
        return content_digest(file.read_bytes())
    except OSError:
        return ""


def content_digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def tools() -> dict[str, str]:
    """Return the versions that decide how generated code looks."""
    versions = {}
    for name in _TOOLS:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = ""
    return versions
