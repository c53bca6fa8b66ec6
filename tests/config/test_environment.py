"""What a `mesh.yaml` may say: every rule broken once, with what is said about it."""

import textwrap
from pathlib import Path

import pytest

from mesh import config
from mesh.config.address import Address
from mesh.config.resolve import resolve
from mesh.errors import ConfigError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(text, name="mesh.yaml"):
    Path(name).write_text(textwrap.dedent(text), encoding="utf-8")
    return name


A = "services: [{name: a, command: [python, x.py]}, "

PROBLEMS = [
    # Names.
    ("services: [{dns: 'a:1'}]", "services[0].name: a service needs a name"),
    ("services: [{name: a b, dns: 'a:1'}]", 'services[0].name: "a b" is not a service name: letters, digits, - and _'),
    ("services: [{name: gateway, dns: 'a:1'}]", 'services[0].name: "gateway" is the name of the gateway itself'),
    (A + "{name: a, dns: 'a:1'}]", 'services[1].name: "a" is the name of services[0] already'),
    ("services: [{name: a, dns: 'a:1', serves: [a/b]}]", 'services[0].serves[0]: "a/b" is not the full name of a gRPC service, such as shop.v1.CatalogService'),
    ("services: [{name: a, dns: 'a:1', serves: [x.Y, x.Y]}]", 'services[0].serves[1]: "x.Y" is given twice'),
    ("services: [{name: a, dns: 'a:1', serves: [x.Y]}, {name: b, dns: 'a:1', serves: [x.Y]}]", 'services[1].serves[0]: "x.Y" is served by a already'),
    # Where a service is.
    ("services: [{name: a}]", "services[0]: a service has one of command, endpoints and dns, and there is none of them"),
    ("services: [{name: a, dns: 'a:1', command: [python]}]", "services[0]: a service has one of command, endpoints and dns, not command and dns"),
    ("services: [{name: a, dns: 'a:1', instances: 1}]", "services[0].instances: only for a service with a command, which `mesh up` starts"),
    ("services: [{name: a, dns: 'a:1', start_timeout: 5s}]", "services[0].start_timeout: only for a service with a command, which `mesh up` starts"),
    ("services: [{name: a, dns: 'a:1', after: [b]}, {name: b, dns: 'b:1'}]", "services[0].after: only for a service with a command, which `mesh up` starts"),
    ("services: [{name: a, dns: a}]", 'services[0].dns: "a" is not HOST:PORT'),
    ("services: [{name: a, dns: 'a b:1'}]", 'services[0].dns: "a b:1" is not HOST:PORT: "a b" is not a host name'),
    ("services: [{name: a, endpoints: ['127.0.0.1']}]", 'services[0].endpoints[0]: "127.0.0.1" is not HOST:PORT'),
    ("services: [{name: a, endpoints: ['127.0.0.1:99999']}]", 'services[0].endpoints[0]: "127.0.0.1:99999" is not HOST:PORT: "99999" is not a port from 1 to 65535'),
    ("services: [{name: a, endpoints: ['127.0.0.1:0']}]", 'services[0].endpoints[0]: "127.0.0.1:0" is not HOST:PORT: "0" is not a port from 1 to 65535'),
    ("services: [{name: a, endpoints: ['::1:80']}]", 'services[0].endpoints[0]: "::1:80" is not HOST:PORT: write IPv6 addresses in brackets, such as [::1]:50051'),
    ("services: [{name: a, endpoints: ['[x]:80']}]", 'services[0].endpoints[0]: "[x]:80" is not HOST:PORT: "x" is not an IPv6 address'),
    ("services: [{name: a, endpoints: ['a.internal:80']}]", 'services[0].endpoints[0]: "a.internal:80" is not an IP address; for a name use `dns: a.internal:80`'),
    ("services: [{name: a, endpoints: ['127.0.0.1:1', '127.0.0.1:1']}]", 'services[0].endpoints[1]: "127.0.0.1:1" is given twice'),
    # How it is started.
    ("services: [{name: a, command: [no-such-program]}]", 'services[0].command[0]: "no-such-program" is not a program that can be started'),
    ("services: [{name: a, command: [./nothing.sh]}]", 'services[0].command[0]: "./nothing.sh" is not a program that can be started'),
    ("services: [{name: a, command: [python], directory: nowhere}]", 'services[0].directory: "nowhere" is not a folder'),
    ("services: [{name: a, command: [python], environment: {MESH_LISTEN: x}}]", 'services[0].environment["MESH_LISTEN"]: not a variable that can be set; MESH_* are the mesh\'s own'),
    ("services: [{name: a, command: [python], instances: 0}]", 'services[0].instances: "0" is out of range, must be 1 to 100'),
    ("services: [{name: a, command: [python], start_timeout: 0s}]", 'services[0].start_timeout: "0s" is out of range, must be 0.1s to 86400s'),
    ("services: [{name: a, command: [python], stop_timeout: -1s}]", 'services[0].stop_timeout: "-1s" is out of range, must be 0s to 86400s'),
    # Order.
    (A + "{name: b, command: [python], after: [aa]}]", 'services[1].after[0]: "aa" is not a service of this environment; did you mean "a"?'),
    ("services: [{name: a, command: [python], after: [a]}]", "services[0].after: services wait for each other: a -> a"),
    ("services: [{name: a, command: [python], after: [b]}, {name: b, command: [python], after: [c]}, {name: c, command: [python], after: [a]}]", "services[0].after: services wait for each other: a -> b -> c -> a"),
    # The gateway.
    ("gateway: {listen: '8080'}", 'gateway.listen: "8080" is not HOST:PORT'),
    ("gateway: {grpc_listen: 'x:'}", 'gateway.grpc_listen: "x:" is not HOST:PORT: "" is not a port from 0 to 65535'),
    ("gateway: {workers: 0}", 'gateway.workers: "0" is out of range, must be 1 to 256'),
    ("gateway: {services: ['/x']}", 'gateway.services[0]: "/x" is not the full name of a gRPC service, such as shop.v1.CatalogService'),
    ("gateway: {request_timeout: 0s}", 'gateway.request_timeout: "0s" is out of range, must be 0.001s to 86400s'),
    ("gateway: {forward_headers: ['a b']}", 'gateway.forward_headers[0]: "a b" is not a header name; a last * stands for any rest'),
    ("gateway: {forward_headers: [x-ok, grpc-timeout]}", 'gateway.forward_headers[1]: "grpc-timeout" is the transport\'s own and never handed on'),
    ("gateway: {forward_headers: [User-Agent]}", 'gateway.forward_headers[0]: "User-Agent" is the transport\'s own and never handed on'),
    ("gateway: {forward_headers: [traceparent]}", 'gateway.forward_headers[0]: "traceparent" is the mesh\'s own to write and never handed on'),
    ("gateway: {forward_headers: [request-timeout]}", 'gateway.forward_headers[0]: "request-timeout" becomes the deadline of the calls and is never handed on'),
    ("gateway: {return_headers: [content-type]}", 'gateway.return_headers[0]: "content-type" is about the connection and never handed on'),
    ("gateway: {return_headers: [Connection]}", 'gateway.return_headers[0]: "Connection" is about the connection and never handed on'),
    # Telemetry and descriptors.
    ("telemetry: {prometheus_listen: x}", 'telemetry.prometheus_listen: "x" is not HOST:PORT'),
    ("telemetry: {otlp_endpoint: 'localhost:4318'}", 'telemetry.otlp_endpoint: "localhost:4318" is not the URL of a collector, such as http://127.0.0.1:4318'),
    ("telemetry: {trace_ratio: 1.5}", 'telemetry.trace_ratio: "1.5" is out of range, must be 0 to 1'),
    ("descriptors: [gen/all.binpb]", 'descriptors[0]: "gen/all.binpb" is not there; `mesh generate` makes it'),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), PROBLEMS)
def test_says_what_is_wrong(text, expected, folder):
    environment, problems = config.load(write(text))

    assert environment is None
    assert [f"mesh.yaml:1: {expected}"] == [str(problem) for problem in problems]


def test_problems_of_the_text_and_of_the_environment_come_together_in_the_order_of_the_file(folder):
    write(
        """\
        services:
          - name: a
            dns: nowhere
          - name: 3
            dns: b:1
            instance: 2
        """
    )

    assert [str(problem) for problem in config.load("mesh.yaml")[1]] == [
        'mesh.yaml:3: services[0].dns: "nowhere" is not HOST:PORT',
        'mesh.yaml:4: services[1].name: 3 is a number in YAML, and this field is text: write "3"',
        'mesh.yaml:6: services[1].instance: unknown field; did you mean "instances"?',
    ]


def test_a_file_that_is_no_yaml_has_only_that_problem(folder):
    assert len(config.load(write("services: ["))[1]) == 1


def test_a_file_that_cannot_be_read_is_a_problem(folder):
    assert list(map(str, config.load("none.yaml")[1])) == [
        "none.yaml: cannot be read: No such file or directory"
    ]
    Path("latin.yaml").write_bytes(b"name: \xe9")
    assert list(map(str, config.load("latin.yaml")[1])) == [
        "latin.yaml: not UTF-8: unexpected end of data at byte 6"
    ]


def test_defaults_are_those_the_proto_documents(folder):
    environment, problems = config.load(write("services: [{name: a, command: [python]}]\ngateway: {}"))

    assert not problems
    assert environment.services == (
        config.Service(
            name="a", command=("python",), directory=folder, start_timeout=30.0, stop_timeout=10.0
        ),
    )
    assert environment.gateway == config.Gateway(
        listen=Address("127.0.0.1", 8080),
        workers=1,
        max_body_bytes=4194304,
        body_timeout=10.0,
        request_timeout=15.0,
        forward_headers=("authorization", "accept-language", "x-request-id"),
        stop_timeout=10.0,
        access_log=True,
    )
    assert environment.telemetry == config.Telemetry(trace_ratio=0.01)


def test_an_environment_without_a_gateway_section_has_none(folder):
    assert config.load(write(""))[0].gateway is None


def test_everything_written_is_read(folder):
    (folder / "src").mkdir()
    (folder / "all.binpb").touch()
    environment, problems = config.load(
        write(
            """\
            services:
              - name: catalog
                serves: [shop.v1.CatalogService]
                command: [python, -m, catalog]
                instances: 2
                directory: src
                environment: {LOG: debug}
                after: [stock]
                start_timeout: 5s
                stop_timeout: 0s
              - {name: stock, endpoints: ["127.0.0.1:5000", "[::1]:5000", "localhost:5000"]}
              - {name: mail, dns: "mail.internal:25"}
            gateway: {unknown_query: UNKNOWN_QUERY_IGNORE, forward_headers: [X-Demo-*], access_log: false}
            telemetry: {prometheus_listen: "127.0.0.1:0", trace_ratio: 0}
            descriptors: [all.binpb]
            """
        )
    )

    assert not problems
    catalog = environment.serving("shop.v1.CatalogService")
    assert catalog == config.Service(
        name="catalog",
        serves=("shop.v1.CatalogService",),
        command=("python", "-m", "catalog"),
        instances=2,
        directory=folder / "src",
        environment=(("LOG", "debug"),),
        after=("stock",),
        start_timeout=5.0,
        stop_timeout=0.0,
    )
    assert environment.service("stock").endpoints == (
        Address("127.0.0.1", 5000),
        Address("::1", 5000),
        Address("localhost", 5000),
    )
    assert environment.service("mail").dns == Address("mail.internal", 25)
    assert environment.service("nothing") is None
    assert environment.gateway.ignore_unknown_query
    assert environment.gateway.forward_headers == ("x-demo-*",)
    assert not environment.gateway.access_log
    assert environment.telemetry.trace_ratio == 0.0
    assert environment.descriptors == (folder / "all.binpb",)


def test_a_resolved_environment_reads_back_with_started_services_as_endpoints(folder):
    (folder / "all.binpb").touch()
    write(
        """\
        services:
          - {name: a, command: [python], instances: 2, after: [b], environment: {X: y}, stop_timeout: 3s}
          - {name: b, dns: "b:1"}
        policies: {defaults: {deadline: {default_timeout: 2.5s}}}
        gateway: {listen: "127.0.0.1:0"}
        descriptors: [all.binpb]
        """
    )
    environment, _ = config.load("mesh.yaml")
    (folder / "run").mkdir()

    text = resolve(environment, {"a": [Address("127.0.0.1", 1), Address("::1", 2)]}, Address("127.0.0.1", 9))
    resolved, problems = config.load(write(text, "run/1.yaml"))

    assert not problems
    assert resolved.services[0].endpoints == (Address("127.0.0.1", 1), Address("::1", 2))
    assert resolved.services[0].command == ()
    assert resolved.services[0].stop_timeout == 3.0
    assert resolved.services[1].dns == Address("b", 1)
    assert resolved.gateway.listen == Address("127.0.0.1", 9)
    assert resolved.descriptors == environment.descriptors
    assert resolved.proto.policies == environment.proto.policies


def test_the_current_environment_is_that_of_MESH_CONFIG_else_of_the_folder(folder):
    assert config.current({}) is None
    write("services: [{name: a, dns: 'a:1'}]")
    write("services: [{name: b, dns: 'a:1'}]", "other.yaml")

    assert config.current({}).services[0].name == "a"
    assert config.current({"MESH_CONFIG": "other.yaml"}).services[0].name == "b"


def test_a_current_environment_with_problems_raises_them_all(folder):
    write("services: [{name: a}, {name: b}]")

    with pytest.raises(ConfigError) as caught:
        config.current({})

    assert len(caught.value.problems) == 2
    assert str(caught.value.problems[0]).startswith(
        f"{folder}/mesh.yaml:1: services[0]: a service has one of"
    )
