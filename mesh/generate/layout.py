"""Where generated Python can live beside other Python, so that `from catalog.v1 import catalog_pb2` finds it.

Generated code imports by the protos' paths from the top: `catalog/v1/catalog.proto` is `catalog.v1.catalog_pb2`,
whatever else is called `catalog`. Of several packages of one name on sys.path, Python takes the first that has an
`__init__.py`; packages without one (namespace packages) are put together from all places. Hence:

- a folder that is generated into gets an `__init__.py`, unless it holds Python of the user, or other places have a
  namespace package of the name, which an `__init__.py` would hide;
- a regular package of the name anywhere but in the output folder is refused: one of the two would be hidden,
  depending on the order of sys.path, and extending `__path__` does not run the other's `__init__.py`.
"""

from __future__ import annotations

import importlib.machinery
import keyword
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

_MODULE_SUFFIXES = (".py", ".pyi", *importlib.machinery.EXTENSION_SUFFIXES)


def packages(files: Iterable[str]) -> list[str]:
    """Return the folders of generated files that are packages, parents first: `catalog`, `catalog/v1`."""
    found = {parent.as_posix() for file in files for parent in PurePosixPath(file).parents}
    return sorted(found - {"."})


def arrange(
    files: Sequence[str], out: Path, places: Sequence[Path], owned: frozenset[Path]
) -> tuple[list[str], list[str]]:
    """Return (`__init__.py` files to have, problems).

    `places` are the other folders that Python looks in: the project's and those of sys.path. `owned` are files that an
    earlier run wrote.
    """
    inits = []
    problems = []
    elsewhere = [place for place in places if place.resolve() != out.resolve()]
    for package in packages(files):
        if keyword.iskeyword(package.rpartition("/")[2]):
            problems.append(
                f"{package}: Python cannot import a keyword; call the folder of the protos otherwise"
            )
            continue
        if "/" not in package:
            problem = _taken(package, out, elsewhere)
            if problem:
                problems.append(problem)
                continue
        module = out / f"{package}.py"
        if module.is_file():
            problems.append(
                f"{module}: would be hidden by a package of its name beside it; rename one of them"
            )
        elif _takes_init(out / package, owned) and not any(
            _is_namespace(place / package) for place in elsewhere
        ):
            inits.append(f"{package}/__init__.py")
    return inits, problems


def _taken(name: str, out: Path, places: Sequence[Path]) -> str | None:
    if name in sys.stdlib_module_names:
        return f"{name}: is a module of Python itself; call the folder of the protos otherwise"
    for place in places:
        if (place / name / "__init__.py").is_file():
            # Two ways out where the package is the user's own; only one where it was installed.
            into = (
                "" if "site-packages" in place.parts else f"generate into it with --out {_short(place)}, or "
            )
            return (
                f"{_short(place / name)}: is a Python package of the name that {out / name} would get, and one would hide the "
                f"other; {into}call the folder of the protos otherwise"
            )
        for suffix in _MODULE_SUFFIXES:
            if (place / f"{name}{suffix}").is_file():
                return f"{_short(place / name)}{suffix}: would be hidden by, or hide, the package {out / name}; rename one of them"
    return None


def _short(path: Path) -> str:
    """Return the path as seen from here, where that is shorter."""
    return min(os.path.relpath(path), str(path), key=len)


def _takes_init(folder: Path, owned: frozenset[Path]) -> bool:
    init = folder / "__init__.py"
    if init.exists():
        return init.resolve() in owned and not init.read_bytes()
    return all(
        file.resolve() in owned or file.name.endswith(("_pb2.py", "_pb2_grpc.py"))
        for file in folder.glob("*.py")
    )


def _is_namespace(folder: Path) -> bool:
    """Whether Python code lives there that only a package without `__init__.py` leaves visible."""
    return folder.is_dir() and not (folder / "__init__.py").exists() and any(folder.rglob("*.py"))
