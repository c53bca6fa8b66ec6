"""Files of HTTP rules reach a gateway through its settings and its command line."""

from __future__ import annotations

import pytest

from gateway.load import Source, load, load_environment
from mesh.config.environment import require
from mesh.config.spec import Gateway
from mesh.errors import ConfigError

RULES = """
type: google.api.Service
http:
  rules:
  - selector: library.v1.LibraryService.GetBook
    get: /{path}/{{id}}
"""
GET_BOOK = "library.v1.LibraryService.GetBook"


@pytest.fixture
def files(tmp_path):
    for name in ("first", "second"):
        (tmp_path / f"{name}.yaml").write_text(RULES.format(path=name))
    (tmp_path / "wrong.yaml").write_text(RULES.format(path="x").replace("GetBook", "GetBok"))
    return tmp_path


def templates(blueprint):
    return [
        str(binding.template) for binding in blueprint.table.bindings if binding.method.full_name == GET_BOOK
    ]


async def test_a_backend_takes_the_rules_of_its_settings(backend, files):
    settings = Gateway(rule_files=(files / "first.yaml",))
    assert templates(await load(Source(backend=backend.address, settings=settings))) == ["/first/{id}"]


async def test_rules_of_the_source_come_after_those_of_the_settings(backend, files):
    settings = Gateway(rule_files=(files / "first.yaml",))
    source = Source(backend=backend.address, settings=settings, rules=(str(files / "second.yaml"),))
    assert templates(await load(source)) == ["/second/{id}"]


async def test_every_problem_names_its_file(backend, files):
    source = Source(backend=backend.address, rules=(str(files / "wrong.yaml"), str(files / "none.yaml")))
    with pytest.raises(ConfigError) as info:
        await load(source)
    assert [str(problem) for problem in info.value.problems] == [
        f"{files / 'none.yaml'}: cannot be read: No such file or directory",
        (
            f'{files / "wrong.yaml"}:5: http.rules[0].selector: "library.v1.LibraryService.GetBok" selects no method; '
            f'did you mean "{GET_BOOK}"?'
        ),
    ]


def test_an_environment_takes_them_relative_to_its_file(descriptors, files):
    (files / "api.binpb").write_bytes(descriptors.read_bytes())
    (files / "mesh.yaml").write_text(
        """
        services:
          - {name: library, serves: [library.v1.LibraryService], endpoints: ["127.0.0.1:50051"]}
        gateway: {services: [library.v1.LibraryService], rule_files: [first.yaml, second.yaml]}
        descriptors: [api.binpb]
        """
    )
    assert templates(load_environment(require(files / "mesh.yaml"))) == ["/second/{id}"]
