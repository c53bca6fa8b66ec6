"""Answers are shown on as few lines as can be read, and what is left out is marked."""

import json

from show import WIDTH, Printer, pretty


def test_what_fits_on_a_line_is_on_one():
    assert pretty({"units": "18", "nanos": 5}) == '{"units": "18", "nanos": 5}'


def test_what_does_not_fit_is_indented_and_whole_json():
    value = {"text": "a" * 50, "other": {"text": "b" * 50}}
    assert json.loads(pretty(value)) == value
    assert pretty(value).count("\n") == 3


def test_long_texts_and_lists_are_cut_with_dots():
    assert pretty("word " * 20).endswith(' ..."')
    assert pretty(list(range(5))) == "[0, 1, 2, ... 2 more]"


def test_deep_objects_are_cut_to_a_line_unless_all_is_wanted():
    deep = {"a": {"b": [{f"key{number}": "value" * 3 for number in range(9)}]}}
    assert all(len(line) <= WIDTH for line in pretty(deep).splitlines())
    assert "key8" not in pretty(deep)
    assert json.loads(pretty(deep, whole=True)) == deep


def test_a_request_is_a_curl_line_to_copy(capsys):
    Printer(colours=False).request("PATCH", "http://host/a?b=c&d", {"it's": 1})
    line = capsys.readouterr().out.strip()
    assert line == (
        "$ curl -X PATCH 'http://host/a?b=c&d' -H 'content-type: application/json' \\\n"
        "      -d '{\"it'\"'\"'s\": 1}'"
    )
