"""Files of HTTP rules: what they may say, which methods their rules reach, and every problem they can have."""

from __future__ import annotations

import textwrap

import pytest

from gateway.route import table
from gateway.route.rule_file import parse, resolve
from gateway.schema.pool import read_set
from tests.protoc import service_set

PROTO = """
message M { string name = 1; string nick = 2; }
service S {
  rpc Get(M) returns (M) { option (google.api.http) = { get: "/v1/{name}" }; }
  rpc Put(M) returns (M) { option (google.api.http) = { put: "/v1/{name}" body: "*" }; }
  rpc Bare(M) returns (M);
  rpc Chat(stream M) returns (stream M);
}
service Hidden {
  rpc Other(M) returns (M);
}
"""
HEAD = "type: google.api.Service\nconfig_version: 3\n"


@pytest.fixture(scope="module")
def services():
    schema, problems = read_set(service_set(PROTO))
    assert problems == ()
    hidden, exposed = schema.services
    return exposed, hidden


def read(services, *texts, unannotated=False):
    """The routes that files make, and every problem as text."""
    exposed, hidden = services
    rules, problems = [], []
    for index, text in enumerate(texts):
        found, wrong = parse(textwrap.dedent(text), file=f"{'abc'[index]}.yaml")
        rules += found
        problems += wrong
    chosen, wrong = resolve(rules, [exposed], [hidden])
    problems += wrong
    made, wrong = table.read([exposed], unannotated=unannotated, rules=chosen)
    return made, [str(problem) for problem in (*problems, *wrong)]


def routes(made):
    return [f"{b.http_method} {b.template} {b.body}".strip() + f" -> {b.method.name}" for b in made.bindings]


def rules(text):
    return f"{HEAD}http:\n  rules:\n{textwrap.indent(textwrap.dedent(text).strip(), '  ')}\n"


ANNOTATED = ["GET /v1/{name} -> Get", "PUT /v1/{name} * -> Put"]
READ = [
    # rule, files, routes
    (
        "a rule replaces the annotation of its method",
        [rules("- selector: t.v1.S.Get\n  get: /v2/{nick}")],
        ["GET /v2/{nick} -> Get", "PUT /v1/{name} * -> Put"],
    ),
    (
        "a rule gives a method without an annotation its route",
        [rules("- selector: t.v1.S.Bare\n  post: /v1/bare\n  body: '*'")],
        [*ANNOTATED, "POST /v1/bare * -> Bare"],
    ),
    (
        "a method that streams is no exception",
        [rules("- selector: t.v1.S.Chat\n  post: /v1/chat\n  body: '*'")],
        [*ANNOTATED, "POST /v1/chat * -> Chat"],
    ),
    (
        "additional bindings",
        [
            rules(
                "- selector: t.v1.S.Get\n  get: /a\n  additional_bindings:\n  - get: /b\n  - {put: /c, body: '*'}"
            )
        ],
        ["GET /a -> Get", "GET /b -> Get", "PUT /c * -> Get", "PUT /v1/{name} * -> Put"],
    ),
    (
        "custom methods",
        [rules("- selector: t.v1.S.Get\n  custom: {kind: PURGE, path: /a}")],
        ["PURGE /a -> Get", "PUT /v1/{name} * -> Put"],
    ),
    (
        "the last rule of a method wins, in one file",
        [rules("- {selector: t.v1.S.Get, get: /a}\n- {selector: t.v1.S.Get, get: /b}")],
        ["GET /b -> Get", "PUT /v1/{name} * -> Put"],
    ),
    (
        "the last file's rule wins",
        [rules("- {selector: t.v1.S.Get, get: /a}"), rules("- {selector: t.v1.S.Get, get: /b}")],
        ["GET /b -> Get", "PUT /v1/{name} * -> Put"],
    ),
    (
        "a selector is a list of patterns",
        [rules("- {selector: 't.v1.S.Get, t.v1.S.Put', get: /a}\n- {selector: t.v1.S.Get, get: /b}")],
        ["GET /b -> Get", "GET /a -> Put"],
    ),
    (
        "a wildcard selects a service's methods, and what comes later replaces",
        [
            rules(
                """
                - {selector: t.v1.S.*, get: /all}
                - {selector: t.v1.S.Get, get: /get}
                - {selector: t.v1.S.Put, get: /put}
                - {selector: t.v1.S.Chat, get: /chat}
                """
            )
        ],
        ["GET /get -> Get", "GET /put -> Put", "GET /all -> Bare", "GET /chat -> Chat"],
    ),
    (
        "a * selects whatever is exposed",
        [rules("- {selector: '*', get: /all}\n- {selector: 't.v1.S.Get,t.v1.S.Put,t.v1.S.Chat', put: /x}")],
        None,
    ),
    (
        "what is not about HTTP is skipped",
        [
            rules("- {selector: t.v1.S.Bare, get: /bare}")
            + "name: api.example.com\ntitle: T\napis: [{name: t.v1.S}]\ndocumentation: {overview: x, later: y}\n"
            + "authentication: {rules: [{selector: '*', oauth: {canonical_scopes: a}}]}\npublishing: {}\n"
            + "endpoints: [{name: api.example.com}]\n"
        ],
        [*ANNOTATED, "GET /bare -> Bare"],
    ),
    (
        "JSON is YAML, and its names are read",
        [
            '{"configVersion": 3, "http": {"rules": [{"selector": "t.v1.S.Bare", "get": "/b", "responseBody": "name"}]}}'
        ],
        [*ANNOTATED, "GET /b -> Bare"],
    ),
]


@pytest.mark.parametrize(("files", "expected"), [row[1:] for row in READ], ids=[row[0] for row in READ])
def test_rules_are_read(services, files, expected):
    made, problems = read(services, *files)
    if expected is None:
        assert [problem for problem in problems if "matches the same requests" not in problem] == []
        assert routes(made) == ["PUT /x -> Get", "GET /all -> Bare"]
    else:
        assert problems == []
        assert routes(made) == expected


def test_a_method_that_no_rule_names_stays_as_unannotated_methods_are(services):
    made, _ = read(services, rules("- {selector: t.v1.S.Bare, get: /b}"), unannotated=True)
    assert routes(made) == [*ANNOTATED, "GET /b -> Bare", "POST /t.v1.S/Chat * -> Chat"]
    assert [binding.declared for binding in made.bindings] == [True, True, True, False]


WRONG = [
    # rule, files, problems
    (
        "an unknown field of a rule",
        [rules("- selector: t.v1.S.Get\n  gett: /a")],
        ['a.yaml:6: http.rules[0].gett: unknown field; did you mean "get"?'],
    ),
    (
        "an unknown field of the file",
        [rules("- {selector: t.v1.S.Get, get: /a}") + "htpp: {}\n"],
        ['a.yaml:6: htpp: unknown field; did you mean "http"?'],
    ),
    (
        "another type",
        ["type: google.api.Servic\nhttp: {rules: [{selector: t.v1.S.Get, get: /a}]}"],
        ['a.yaml:1: type: "google.api.Servic" is not "google.api.Service"'],
    ),
    ("two patterns", [rules("- {selector: t.v1.S.Get, get: /a, put: /b}")], None),
    ("nothing", [HEAD], ["a.yaml: http.rules: is empty: the file says nothing"]),
    ("not YAML", ["http: ["], None),
    (
        "a method that is not there",
        [rules("- {selector: t.v1.S.Gte, get: /a}")],
        ['a.yaml:5: http.rules[0].selector: "t.v1.S.Gte" selects no method; did you mean "t.v1.S.Get"?'],
    ),
    (
        "a service that is not there",
        [rules("- {selector: t.v1.T.*, get: /a}")],
        ['a.yaml:5: http.rules[0].selector: "t.v1.T.*" selects no method; did you mean "t.v1.S.*"?'],
    ),
    (
        "a service that is not exposed",
        [rules("- {selector: t.v1.Hidden.Other, get: /a}")],
        [
            'a.yaml:5: http.rules[0].selector: "t.v1.Hidden.Other" selects only methods of services that are not exposed'
        ],
    ),
    (
        "no selector",
        [rules("- {get: /a}")],
        ["a.yaml:5: http.rules[0].selector: is required: the full name of a method"],
    ),
    (
        "a wildcard within a name",
        [rules("- {selector: t.v1.S.G*, get: /a}\n- {selector: t.*.Get, get: /a}")],
        [
            'a.yaml:5: http.rules[0].selector: "t.v1.S.G*": a "*" must be the last component, and the whole of it',
            'a.yaml:6: http.rules[1].selector: "t.*.Get": a "*" must be the last component, and the whole of it',
        ],
    ),
    (
        "an empty pattern",
        [rules("- {selector: 't.v1.S.Get,', get: /a}")],
        ['a.yaml:5: http.rules[0].selector: "t.v1.S.Get,": a pattern is empty'],
    ),
    (
        "a selector of an additional binding",
        [rules("- {selector: t.v1.S.Get, get: /a, additional_bindings: [{selector: t.v1.S.Put, get: /b}]}")],
        [
            "a.yaml:5: http.rules[0].additional_bindings[0].selector: only a rule has a selector, not what is bound in addition"
        ],
    ),
    (
        "a template that breaks the grammar",
        [rules("- {selector: t.v1.S.Get, get: '/a/{name'}")],
        ["a.yaml:5: http.rules[0] (t.v1.S.Get).get: \"/a/{name\" column 9: expected '}'"],
    ),
    (
        "a variable that its method does not have",
        [rules("- {selector: t.v1.S.Get, get: '/a/{nme}'}")],
        ['a.yaml:5: http.rules[0] (t.v1.S.Get).get: "nme": t.v1.M has no field "nme"; did you mean "name"?'],
    ),
    (
        "a conflict with an annotation names both owners",
        [rules("- {selector: t.v1.S.Bare, get: '/v1/{nick}'}")],
        [
            (
                'a.yaml:5: http.rules[0] (t.v1.S.Bare).get: "GET /v1/{nick}" matches the same requests as '
                't.v1.S.Get (google.api.http).get ("/v1/{name}")'
            )
        ],
    ),
    (
        "a conflict of a rule that selects several methods",
        [rules("- {selector: 't.v1.S.Get,t.v1.S.Put', get: /a}")],
        [
            (
                'a.yaml:5: http.rules[0] (t.v1.S.Put).get: "GET /a" matches the same requests as '
                'a.yaml:5: http.rules[0] (t.v1.S.Get).get ("/a")'
            )
        ],
    ),
    (
        "the other decoding",
        [rules("- {selector: t.v1.S.Get, get: /a}") + "  fully_decode_reserved_expansion: true\n"],
        [
            'a.yaml:6: http.fully_decode_reserved_expansion: is not supported: "%2F" stays as it is in a variable of several segments'
        ],
    ),
    (
        "what would change how requests are read",
        [
            rules("- {selector: t.v1.S.Get, get: /a}")
            + "system_parameters: {rules: [{selector: '*', parameters: [{name: api_key, http_header: k}]}]}\n"
            + "endpoints: [{name: a}, {name: b, allow_cors: true}]\n"
        ],
        [
            "a.yaml:6: system_parameters: is not supported: headers and parameters keep their names",
            "a.yaml:7: endpoints[1].allow_cors: is not read here: say it in the gateway's settings, under cors",
        ],
    ),
]


@pytest.mark.parametrize(("files", "expected"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG])
def test_every_problem_has_its_file_line_and_path(services, files, expected):
    _, problems = read(services, *files)
    if expected is None:
        assert problems
        assert all(problem.startswith("a.yaml:") for problem in problems)
    else:
        assert problems == expected
