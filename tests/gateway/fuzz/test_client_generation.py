"""A client generated from the document, by a generator that never heard of gRPC, calls the gateway."""

from __future__ import annotations

import importlib
import os
import pathlib
import subprocess
import sys
import urllib.request
from typing import Any

import pytest

from tests.gateway.server.process import ENVIRON

pytestmark = pytest.mark.slow

NAME = "things_client"


@pytest.fixture(scope="module")
def generated(url: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return what imports the generated modules."""
    folder = tmp_path_factory.mktemp("generated")
    document = folder / "openapi.json"
    with urllib.request.urlopen(f"{url}/openapi.json") as answer:  # noqa: S310 - http, to a gateway of this test
        document.write_bytes(answer.read())
    scripts = pathlib.Path(sys.executable).parent
    ran = subprocess.run(
        [
            sys.executable, "-m", "openapi_python_client", "generate", "--path", str(document),
            "--meta", "none", "--output-path", str(folder / NAME),
        ],
        cwd=folder,
        # It formats what it writes with ruff.
        env={**ENVIRON, "PATH": f"{scripts}{os.pathsep}{ENVIRON.get('PATH', '')}"},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    # Lines, and content of any type, are what it has no code for; all operations are there all the same.
    assert "will not be generated" not in ran.stdout, ran.stdout
    warnings = [line for line in ran.stdout.splitlines() if "nsupported content" in line]
    assert all("application/x-ndjson" in line or "*/*" in line for line in warnings), ran.stdout
    sys.path.insert(0, str(folder))
    try:
        yield lambda name: importlib.import_module(f"{NAME}.{name}")
    finally:
        sys.path.remove(str(folder))
        for name in [name for name in sys.modules if name.partition(".")[0] == NAME]:
            del sys.modules[name]


@pytest.fixture
def client(generated: Any, url: str) -> Any:
    return generated("client").Client(base_url=url, raise_on_unexpected_status=True)


def call(generated: Any, name: str) -> Any:
    return generated(f"api.thing_service.thing_service_{name}").sync_detailed


def test_get(generated, client):
    answer = call(generated, "get_thing_2")("books/1 ü", client=client)
    assert answer.status_code == 200
    assert (answer.parsed.id, answer.parsed.i64) == ("books/1 ü", str(-(2**63)))
    assert (answer.parsed.ratio, answer.parsed.precise) == ("NaN", "-Infinity")
    assert answer.headers["etag"]


def test_get_with_a_query(generated, client):
    models = generated("models")
    colours = [models.ThingsV1Colour.COLOUR_RED, models.ThingsV1Colour.COLOUR_BLUE]
    answer = call(generated, "search")(client=client, text="a b&c", colours=colours, count=3, all_=True)
    found = answer.parsed
    assert (found.text, found.colours, found.count, found.all_) == ("a b&c", colours, 3, True)


def test_post(generated, client):
    models = generated("models")
    given = models.ThingsV1Thing.from_dict(
        {
            "id": "1", "i64": "9007199254740993", "ratio": 0.5, "colour": "COLOUR_RED", "names": {"-1": "x"},
            "at": "2026-01-31T12:30:00Z", "wait": "1.500s", "left": "l", "list": [{"title": "t", "weight": "1"}],
            "inner": {"flag": True},
        }
    )  # fmt: skip
    answer = call(generated, "create_thing")(client=client, body=given, validate_only=True)
    assert answer.status_code == 200
    assert answer.parsed == given


def test_a_form(generated, client):
    models = generated("models")
    form = models.ThingServiceCreateThingDataBody(id="1", i32=-3, inner_flag=True)
    answer = call(generated, "create_thing")(client=client, body=form)
    assert (answer.parsed.id, answer.parsed.i32, answer.parsed.inner.flag) == ("1", -3, True)


def test_delete(generated, client):
    assert call(generated, "delete_thing")("1", client=client).status_code == 200


def test_a_stream_is_text(generated, client):
    answer = call(generated, "watch")(client=client, count=7)
    assert answer.parsed == '{"result":{"count":7}}\n' * 2


def test_an_error_is_a_status(generated, client):
    models = generated("models")
    answer = call(generated, "fail")(models.ThingsV1Failure.ALREADY_EXISTS, client=client)
    assert answer.status_code == 409
    assert (answer.parsed.code, answer.parsed.message) == (6, "as you wish")


def test_what_does_not_fit_is_an_error_with_its_field(generated, client):
    models = generated("models")
    answer = call(generated, "create_thing")(client=client, body=models.ThingsV1Thing(i64="ten"))
    assert answer.status_code == 400
    (detail,) = answer.parsed.details
    assert detail.additional_properties["fieldViolations"][0]["field"] == "thing.i64"
