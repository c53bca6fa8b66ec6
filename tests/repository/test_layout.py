"""The tree keeps the rules of CONTRIBUTING.md that no linter knows."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from mesh.order import ORDER
from mesh.v1 import policy_pb2

ROOT = Path(__file__).parents[2]
GENERATED = re.compile(r"_pb2(_grpc)?\.pyi?$")
MODULES = sorted(
    path
    for package in ("mesh", "gateway")
    for path in (ROOT / package).rglob("*.py")
    if not GENERATED.search(path.name)
)
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(page for name in ("docs", "examples", "mesh", "gateway") for page in (ROOT / name).rglob("*.md")),
    ]
)


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("module", MODULES, ids=name)
def test_a_module_says_in_its_first_line_what_it_decides(module: Path) -> None:
    tree = ast.parse(module.read_text(encoding="utf-8"))
    if tree.body:
        docstring = ast.get_docstring(tree) or ""

        assert docstring.partition("\n")[0].strip(), "no module docstring"


@pytest.mark.parametrize("module", MODULES, ids=name)
def test_a_module_stays_below_400_lines(module: Path) -> None:
    assert 400 >= module.read_text(encoding="utf-8").count("\n")


def test_modules_are_named_for_what_they_hold() -> None:
    vague = {"utils", "util", "helpers", "helper", "common", "base", "manager", "misc"}

    assert [] == [name(module) for module in MODULES if module.stem in vague]


@pytest.mark.parametrize("module", [path for path in MODULES if path.name == "__init__.py"], ids=name)
def test_a_package_hands_on_names_and_does_nothing_else(module: Path) -> None:
    body = ast.parse(module.read_text(encoding="utf-8")).body

    assert [] == [ast.unparse(statement) for statement in body if not hands_on(statement)]


def hands_on(statement: ast.stmt) -> bool:
    """At once, or when a name is first asked for (a table of modules, and PEP 562's `__getattr__`)."""
    match statement:
        case ast.Import() | ast.ImportFrom() | ast.Expr(value=ast.Constant()):
            return True
        case ast.If(test=ast.Name(id="TYPE_CHECKING"), body=body):
            return all(map(hands_on, body))
        case ast.Assign(targets=[ast.Name(id="__all__" | "_MODULES")]) | ast.FunctionDef(name="__getattr__"):
            return True
    return False


@pytest.mark.parametrize("slot", ORDER, ids=lambda slot: slot.name)
def test_a_stage_has_a_policy_field_a_row_in_the_docs_and_a_test(slot) -> None:
    pages = (ROOT / "docs/stages.md").read_text(encoding="utf-8")
    tests = [path for path in (ROOT / "tests").rglob("test_*.py") if path.parent.name != "repository"]

    assert slot.section in policy_pb2.Policy.DESCRIPTOR.fields_by_name
    assert f"| `{slot.name}` |" in pages
    assert any(re.search(rf"\b{slot.name}\b", path.read_text(encoding="utf-8")) for path in tests)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_in_the_docs_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))

    assert [] == [link for link in links if "://" not in link and not (page.parent / link).exists()]


def test_every_decision_record_is_listed() -> None:
    folder = ROOT / "docs/adr"
    listed = re.findall(r"\]\((\d{4}-[a-z-]+\.md)\)", (folder / "README.md").read_text(encoding="utf-8"))

    assert sorted(path.name for path in folder.glob("[0-9]*.md")) == sorted(listed)


def test_the_lock_pins_what_the_project_asks_for() -> None:
    """A dependency added to pyproject.toml without `make lock` is missing from a fresh environment."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = [
        *project["project"]["dependencies"],
        *(entry for extra in project["project"]["optional-dependencies"].values() for entry in extra),
        *project["dependency-groups"]["dev"],
        *project["build-system"]["requires"],
    ]
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    pinned = dict(re.findall(r"^([a-z0-9._-]+)==(\S+)", lock, re.MULTILINE))
    requirements = [Requirement(entry) for entry in wanted]

    assert [] == [
        str(requirement)
        for requirement in requirements
        if requirement.name != project["project"]["name"]
        and not requirement.specifier.contains(pinned.get(requirement.name, "0"), prereleases=True)
    ]


def test_the_lock_names_no_address() -> None:
    """Where packages come from is the machine's business; a lock with addresses works on one site only."""
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")

    assert "://" not in lock
    assert "index-url" not in lock
