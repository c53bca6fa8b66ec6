"""`mesh policy`: the schema is printed, a diff says what changes and by its exit code whether anything does."""

from __future__ import annotations

import json

import jsonschema
import pytest
from click.testing import CliRunner

from mesh.cli import main


@pytest.mark.parametrize("kind", ["environment", "policy"])
def test_the_schema_is_printed(kind):
    result = CliRunner().invoke(main, ["policy", "schema", "--kind", kind])

    assert 0 == result.exit_code
    schema = json.loads(result.output)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert f"#/$defs/mesh.v1.{kind.capitalize()}" == schema["$ref"]


def diff(folder, old: str, new: str):
    for name, text in (("old", old), ("new", new)):
        (folder / name).mkdir()
        (folder / name / "mesh.yaml").write_text(text)
    files = [str(folder / name / "mesh.yaml") for name in ("old", "new")]
    return CliRunner().invoke(main, ["policy", "diff", *files])


def test_nothing_changes(tmp_path):
    result = diff(tmp_path, "", "policies: {defaults: {retry: {max_attempts: 3}}}")

    assert (0, "") == (result.exit_code, result.output)


def test_what_changes_and_what_needs_a_restart(tmp_path):
    result = diff(
        tmp_path,
        "descriptors: [not-here.binpb]\npolicies: {defaults: {deadline: {default_timeout: 3s}}}\n",
        """
descriptors: [not-here.binpb]
telemetry: {console: true}
policies:
  defaults: {deadline: {default_timeout: 5s}, connection: {max_send_bytes: 9}}
  services: [{service: a.B, policy: {retry: {enabled: false}}}]
""",
    )

    assert 1 == result.exit_code
    assert [
        "every method: connection.max_send_bytes: none -> 9",
        "every method: deadline.default_timeout: 3s -> 5s",
        "a.B: retry.enabled: true -> false",
        "restart: telemetry: changed; takes effect when the process starts again",
        (
            "restart: policies.defaults.connection: changed; channels that are open keep what they have, "
            "those opened from now on follow"
        ),
    ] == result.output.splitlines()


def test_problems_of_both_files_are_printed(tmp_path):
    result = diff(tmp_path, "policies: {defaults: {retry: {max_attempts: 99}}}", "extra: 1")

    assert 2 == result.exit_code
    assert 'max_attempts: "99" is out of range' in result.stderr
    assert "extra: unknown field" in result.stderr
    assert "" == result.stdout


def test_a_file_that_is_not_there(tmp_path):
    result = CliRunner().invoke(main, ["policy", "diff", str(tmp_path / "a"), str(tmp_path / "b")])

    assert 2 == result.exit_code
    assert "cannot be read: No such file or directory" in result.stderr
