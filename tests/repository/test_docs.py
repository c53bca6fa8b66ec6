"""The pages about features are complete and true: every section has one, and every policy on them can be loaded."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from mesh.cli import explain
from mesh.config import document
from mesh.policy.table import load
from mesh.v1 import config_pb2, policy_pb2
from tests.protoc import compile_protos

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs/features").glob("*.md"))
FENCE = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TEXT = re.compile(r"^```text\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NOT_FEATURES = {"required", "metrics"}
"""Explained in docs/policy.md and docs/metrics.md."""
LINK = re.compile(r"\]\((?!https?:)([^)#]+)[^)]*\)")


def examples() -> list[tuple[str, str]]:
    return [(page.stem, text) for page in PAGES for text in FENCE.findall(page.read_text(encoding="utf-8"))]


@pytest.mark.parametrize(("page", "text"), examples(), ids=[page for page, _ in examples()])
def test_every_policy_in_the_docs_can_be_loaded(page: str, text: str) -> None:
    parsed = document.parse(text, config_pb2.Environment(), file=f"{page}.md")
    assert [] == parsed.diagnostics

    _, problems = load(parsed.message.policies)

    assert [] == problems


def test_every_section_has_a_page_with_an_example() -> None:
    shown = "\n".join(text for _, text in examples())
    sections = set(policy_pb2.Policy.DESCRIPTOR.fields_by_name) - NOT_FEATURES

    assert [] == sorted(name for name in sections if f"{name}:" not in shown)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_says_what_when_cost_metrics_and_limits(page: Path) -> None:
    text = page.read_text(encoding="utf-8")

    missing = [word for word in ("What", "When", "cost", "Metrics", "Limits") if word not in text]

    assert [] == missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_of_a_page_lead_somewhere(page: Path) -> None:
    links = LINK.findall(page.read_text(encoding="utf-8"))

    assert [] == [link for link in links if not (page.parent / link).exists()]


def test_the_output_explained_is_the_output(tmp_path: Path) -> None:
    page = (ROOT / "docs/explain.md").read_text(encoding="utf-8")
    (tmp_path / "mesh.yaml").write_text(FENCE.findall(page)[0])
    descriptors = compile_protos(ROOT / "examples/boutique/protos")
    (tmp_path / "descriptors.binpb").write_bytes(descriptors)

    printed = CliRunner().invoke(
        explain.command,
        [str(tmp_path / "mesh.yaml"), "boutique.catalog.v1.CatalogService/GetProduct", "--side", "client"],
    )

    assert 0 == printed.exit_code, printed.output
    assert printed.output.strip() == TEXT.findall(page)[0].strip()
