"""What a server tells of its load: bytes that read as an OrcaLoadReport, measured anew every quarter of a second."""

from __future__ import annotations

import re

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from mesh.call import CURRENT, Arity, Call, Outcome, Side
from mesh.policy.observe import LoadReportPolicy
from mesh.policy.policy import Policy
from mesh.stage import load_report
from mesh.stage.scope import State
from tests.stage.call import Clock, Driver, scope
from tests.telemetry.drive import ENDINGS, end


def orca() -> type:
    """xds.data.orca.v3.OrcaLoadReport, as xds/data/orca/v3/orca_load_report.proto has it."""
    file = descriptor_pb2.FileDescriptorProto(
        name="orca_load_report.proto", package="xds.data.orca.v3", syntax="proto3"
    )
    message = file.message_type.add(name="OrcaLoadReport")
    kinds = descriptor_pb2.FieldDescriptorProto
    for name, number, kind in (
        ("cpu_utilization", 1, kinds.TYPE_DOUBLE),
        ("mem_utilization", 2, kinds.TYPE_DOUBLE),
        ("rps", 3, kinds.TYPE_UINT64),
        ("rps_fractional", 6, kinds.TYPE_DOUBLE),
        ("eps", 7, kinds.TYPE_DOUBLE),
        ("application_utilization", 9, kinds.TYPE_DOUBLE),
    ):
        message.field.add(name=name, number=number, type=kind, label=kinds.LABEL_OPTIONAL)
    for name, number in (("request_cost", 4), ("utilization", 5), ("named_metrics", 8)):
        entry = message.nested_type.add(name=name.title().replace("_", "") + "Entry")
        entry.options.map_entry = True
        entry.field.add(name="key", number=1, type=kinds.TYPE_STRING, label=kinds.LABEL_OPTIONAL)
        entry.field.add(name="value", number=2, type=kinds.TYPE_DOUBLE, label=kinds.LABEL_OPTIONAL)
        message.field.add(
            name=name,
            number=number,
            type=kinds.TYPE_MESSAGE,
            type_name=f".xds.data.orca.v3.OrcaLoadReport.{entry.name}",
            label=kinds.LABEL_REPEATED,
        )
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("xds.data.orca.v3.OrcaLoadReport"))


Orca = orca()


class Machine:
    """A server whose CPU we set."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.cpu = 0.0
        self.state = State()
        self.sent: list[bytes] = []
        made = scope(
            Policy(load_report=LoadReportPolicy()),
            self.clock,
            side=Side.SERVER,
            state=self.state,
            cpu=lambda: self.cpu,
        )
        self.stage = load_report.build(made)
        assert self.stage is not None
        self.driver = Driver(self.clock, per_call=(self.stage,))

    def call(self, code: int = 0, peer: str = "", handler=lambda: None):
        """Answer one call; return the report that went with it, if one did."""
        call = load_call(peer)

        def answer(_):
            token = CURRENT.set(call)
            try:
                handler()
            finally:
                CURRENT.reset(token)
            return Outcome(code)

        self.driver.call(answer, call)
        if not call.trailing:
            return None
        [(key, value)] = call.trailing
        assert "endpoint-load-metrics-bin" == key
        self.sent.append(value)
        return Orca.FromString(value)


def load_call(peer: str = "") -> Call:
    return Call("/shop.v1.Shop/Get", Arity.UNARY_UNARY, peer=lambda: peer)


@pytest.mark.parametrize(
    ("cpu", "rps", "eps"), [(0.0, 0.0, 0.0), (0.5, 120.25, 3.0), (1.75, 1e6, 1e-3), (1e-9, 0.1, 0.0)]
)
def test_the_bytes_read_as_an_orca_load_report(cpu, rps, eps):
    report = Orca.FromString(load_report.encode(cpu=cpu, rps=rps, eps=eps))

    assert Orca(cpu_utilization=cpu, rps_fractional=rps, eps=eps) == report  # unknown fields would count


def test_cpu_is_the_share_of_a_core_since_the_last_measurement():
    machine = Machine()
    machine.call()
    machine.clock.now += 0.5
    machine.cpu += 0.2

    assert pytest.approx(0.4) == machine.call().cpu_utilization


def test_rates_are_calls_and_failures_a_second():
    machine = Machine()
    for index in range(100):
        machine.call(14 if index % 4 == 0 else 5)
        machine.clock.now += 0.1

    report = machine.call()

    assert pytest.approx(10.0, rel=0.1) == report.rps_fractional
    assert pytest.approx(2.5, rel=0.1) == report.eps


def test_a_report_is_sent_again_for_a_quarter_of_a_second():
    machine = Machine()
    machine.clock.now += 1.0
    machine.cpu += 0.1
    machine.call()
    machine.clock.now += 0.24
    machine.cpu += 0.2
    machine.call()
    machine.clock.now += 0.01
    machine.call()

    assert machine.sent[0] == machine.sent[1]
    assert machine.sent[1] != machine.sent[2]


@pytest.mark.parametrize("ending", ENDINGS)
def test_every_ending_leaves_nobody_in_flight(ending):
    machine = Machine()
    report = machine.state.keep(("load_report",), lambda: pytest.fail("the report is kept"))

    end(ending, [machine.stage])

    assert 0 == report.load.in_flight


def test_all_methods_of_a_process_share_one_report():
    machine = Machine()
    twin = load_report.build(
        scope(
            Policy(load_report=LoadReportPolicy()),
            machine.clock,
            side=Side.SERVER,
            state=machine.state,
            method="/shop.v1.Shop/List",
        )
    )
    assert twin is not None
    twin.admit(load_call(), 100.0)

    assert 1 == machine.state.keep(("load_report",), lambda: None).load.in_flight


def test_a_connection_gets_each_report_once():
    """Clients weigh once a second; a caller without a name gets it always."""
    machine = Machine()
    machine.clock.now += 1.0

    assert [True, False, True, True] == [machine.call(peer=peer) is not None for peer in ("a", "a", "b", "")]
    machine.clock.now += 0.25
    assert [True, False] == [machine.call(peer="a") is not None for _ in range(2)]


def test_calls_in_flight_are_a_named_metric():
    machine = Machine()
    for _ in range(3):
        machine.stage.admit(load_call(), machine.clock.now)
    machine.clock.now += 1.0

    assert {"mesh.in_flight": 4.0} == dict(machine.call().named_metrics)


# What handlers say


def test_what_a_handler_says_goes_with_its_answer():
    machine = Machine()

    def handler():
        load_report.report_load(costs={"rows": 12, "größe": 0.5}, utilizations={"disk": 0.25})
        load_report.report_load(costs={"rows": 13}, metrics={"queue": 3.0})

    machine.call(peer="a")
    report = machine.call(peer="a", handler=handler)

    assert {"rows": 13.0, "größe": 0.5} == dict(report.request_cost)
    assert {"disk": 0.25} == dict(report.utilization)
    assert {"queue": 3.0} == dict(report.named_metrics)
    assert 0.0 == report.application_utilization
    assert machine.call(peer="a") is None


def test_the_servers_utilisation_holds_until_it_is_said_again():
    """Or clients would weigh by the CPU whenever a call said nothing."""
    machine = Machine()
    said = [machine.call(handler=lambda: load_report.report_load(utilization=0.75))]
    for handler in (lambda: None, lambda: load_report.report_load(costs={"rows": 1}), lambda: None):
        machine.clock.now += 1.0
        said.append(machine.call(handler=handler))
    said.append(machine.call(handler=lambda: load_report.report_load(utilization=0.5)))
    machine.clock.now += 1.0
    said.append(machine.call())

    assert [0.75, 0.75, 0.75, 0.75, 0.5, 0.5] == [report.application_utilization for report in said]


def test_outside_a_call_it_does_nothing():
    load_report.report_load(utilization=0.5, costs={"rows": 1})


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"utilization": -0.1}, 'utilization: "-0.1" is no load, which is a finite number of at least 0'),
        ({"costs": {"rows": float("nan")}}, 'rows: "nan" is no load, which is a finite number of at least 0'),
        ({"metrics": {"q": float("inf")}}, 'q: "inf" is no load, which is a finite number of at least 0'),
        ({"costs": {"": 1}}, '"" is no name for a load metric, which has 1 to 100 bytes'),
        ({"costs": {"ü" * 51: 1}}, f'"{"ü" * 51}" is no name for a load metric, which has 1 to 100 bytes'),
    ],
)
def test_what_is_no_load_is_refused(said, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        load_report.report_load(**said)


def test_without_a_policy_there_is_no_stage():
    assert load_report.build(scope(Policy(), Clock(), side=Side.SERVER)) is None
