"""A push of policies fails no call, loses no state whose policy stayed, and keeps nothing that no policy names."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import threading
import time

import grpc
import pytest

import mesh
from mesh.binding import reload
from mesh.binding.runtime import Runtime
from mesh.call import Arity, Colour, Side
from mesh.config import environment as environments
from mesh.errors import ConfigError
from mesh.policy.table import PolicyTable
from mesh.telemetry.instruments import CIRCUIT_STATE, CLIENT_ACTIVE_CALLS, POLICY_RELOADS, SERVER_ACTIVE_CALLS
from mesh.v1 import policy_pb2
from tests.chain.test_chains import names
from tests.policy.test_table import described, table

from .node import BUY, GET, Node, runtime

OPENING = "circuit_breaker: {consecutive_failures: 1, open_for: 60s, max_open_for: 60s}"


def policies(text: str) -> PolicyTable:
    return table(f"defaults: {{{text}}}", described())


def values(made: Runtime, instrument) -> list[float]:
    return [series.value for series in made.telemetry.snapshot() if series.instrument is instrument]


def compiled(made: Runtime, target: str = "shop"):
    """Return what compiles and finds a chain; it keeps its channel alive."""
    chains = made.chains(Side.CLIENT, target)

    def find():
        return chains.find(GET, Arity.UNARY_UNARY)

    return find


def test_every_chain_in_use_follows():
    made = runtime()
    first, second = compiled(made), compiled(made, "other")
    first(), second()

    made.reload(policies("metrics: {enabled: false}"))

    for find in (first, second):
        assert "metrics" not in names(find())[0]
    assert "metrics" not in names(compiled(made, "third")())[0]


def test_chains_of_threads_follow_too_and_keep_no_more():
    made = runtime()
    chains = made.chains(Side.CLIENT, "shop", colour=Colour.SYNC, native=True)
    chains.find(GET, Arity.UNARY_UNARY)
    assert [0] == values(made, CIRCUIT_STATE)

    made.reload(policies("circuit_breaker: {enabled: false}"))

    assert "circuit_breaker" not in names(chains.find(GET, Arity.UNARY_UNARY))[1]
    assert [] == values(made, CIRCUIT_STATE)


def test_what_no_policy_names_any_more_is_dropped_with_its_gauge():
    made = runtime()
    find = compiled(made)
    find()
    size = made.state.size
    assert [0] == values(made, CIRCUIT_STATE)

    made.reload(policies("circuit_breaker: {enabled: false}"))

    assert size - 1 == made.state.size
    assert [] == values(made, CIRCUIT_STATE)


def test_channels_that_are_gone_leave_nothing_behind():
    made = runtime()
    find = compiled(made)
    find()
    del find
    gc.collect()

    made.reload(policies(""))

    assert 0 == made.state.size
    assert [] == values(made, CIRCUIT_STATE)


def test_runtimes_that_share_telemetry_keep_each_others_gauges():
    one = runtime()
    two = Runtime(telemetry=one.telemetry, policies=PolicyTable(pool=described()))
    find = compiled(two)
    find()

    one.reload(policies(""))

    assert [0] == values(one, CIRCUIT_STATE)


def test_policies_under_which_a_method_in_use_cannot_be_called_change_nothing():
    pool = described(Get=_backoff(2))
    made = Runtime(policies=PolicyTable(pool=pool))
    find = compiled(made)
    before, size = find(), made.state.size

    with pytest.raises(ConfigError) as caught:
        made.reload(table("defaults: {retry: {backoff: {max: 1s}}, circuit_breaker: {window: 5s}}", pool))

    assert f'{GET}.retry.backoff.max: "1s" is out of range, must be 2s to 600s' == str(caught.value)
    assert before is find()
    assert size == made.state.size
    assert [0] == values(made, CIRCUIT_STATE)


def _backoff(seconds: int) -> policy_pb2.Policy:
    policy = policy_pb2.Policy()
    policy.retry.backoff.base.seconds = seconds
    return policy


def test_spans_go_on_being_made_where_the_package_was_not_asked_for_in_time():
    made = runtime()
    chains = made.chains(Side.CLIENT, "shop")

    made.reload(policies("trace: {engine: TRACE_ENGINE_OTEL_INSTRUMENTATION}"))

    assert "trace" in names(chains.find(GET, Arity.UNARY_UNARY))[0]
    assert not chains.leaves_spans(GET)
    later = made.chains(Side.CLIENT, "later")
    assert later.leaves_spans(GET)


class Environment:
    """A mesh.yaml in a folder of its own, and a runtime that read it."""

    def __init__(self, folder, policies="{}") -> None:
        self.file = folder / "mesh.yaml"
        self.write(policies)
        self.runtime = Runtime(environments.require(self.file))

    def write(self, policies: str, more: str = "") -> None:
        self.file.write_text(
            f"services: [{{name: shop, endpoints: ['127.0.0.1:1']}}]\npolicies: {policies}\n{more}"
        )

    def attempts(self) -> int:
        return self.runtime.policies.policy(GET).retry.max_attempts


def results(made: Runtime) -> dict[str, float]:
    return {
        series.attributes[0][1]: series.value
        for series in made.telemetry.snapshot()
        if series.instrument is POLICY_RELOADS
    }


def test_a_file_that_changed_is_followed(tmp_path):
    environment = Environment(tmp_path)
    environment.write("{defaults: {retry: {max_attempts: 5}}}")

    reload.refresh(environment.runtime)

    assert 5 == environment.attempts()
    assert {"applied": 1} == results(environment.runtime)


def test_a_file_with_problems_is_refused_with_all_of_them_and_the_old_one_serves(tmp_path, caplog):
    environment = Environment(tmp_path, "{defaults: {retry: {max_attempts: 4}}}")
    environment.write("{defaults: {retry: {max_attempts: 99}, deadline: {max_timeout: 0s}}}")

    reload.refresh(environment.runtime)

    assert 4 == environment.attempts()
    assert {"refused": 1} == results(environment.runtime)
    file = environment.file
    assert [
        f'{file}:2: policies.defaults.deadline.max_timeout: "0s" is out of range, must be at least 0.001s',
        f'{file}:2: policies.defaults.retry.max_attempts: "99" is out of range, must be 2 to 10',
        f"{file} is not followed: the policies before it go on serving",
    ] == caplog.messages


def test_a_file_under_which_a_stage_of_the_application_cannot_be_made_is_refused(tmp_path, caplog):
    environment = Environment(tmp_path)

    def tenant(scope):
        if scope.policy.retry.max_attempts == 7:
            raise ZeroDivisionError("a bug")
        return mesh.Stage()

    chains = environment.runtime.chains(Side.CLIENT, "shop", stages=[mesh.place(tenant, after="deadline")])
    before = chains.find(GET, Arity.UNARY_UNARY)
    environment.write("{defaults: {retry: {max_attempts: 7}}}")

    reload.refresh(environment.runtime)

    assert before is chains.find(GET, Arity.UNARY_UNARY)
    assert {"refused": 1} == results(environment.runtime)
    assert f"{environment.file}: ZeroDivisionError('a bug')" in caplog.messages


def test_a_method_that_cannot_be_called_under_the_new_policies_is_named(tmp_path, caplog):
    environment = Environment(tmp_path)
    environment.runtime = Runtime(
        environment.runtime.environment, policies=PolicyTable(pool=described(Get=_backoff(2)))
    )
    find = compiled(environment.runtime)
    find()
    environment.write("{defaults: {retry: {backoff: {max: 1s}}}}")

    reload.refresh(environment.runtime)

    assert {"refused": 1} == results(environment.runtime)
    assert (
        f'{environment.file}: {GET}.retry.backoff.max: "1s" is out of range, must be 2s to 600s'
        == caplog.messages[0]
    )


def test_a_file_that_is_not_even_yaml_is_refused(tmp_path, caplog):
    environment = Environment(tmp_path)
    environment.file.write_text("services: [")

    reload.refresh(environment.runtime)

    assert {"refused": 1} == results(environment.runtime)
    assert "not YAML" in caplog.messages[0]


def test_what_a_reload_cannot_change_is_said_with_its_place(tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    environment = Environment(tmp_path)
    environment.write(
        "{defaults: {retry: {max_attempts: 5}, connection: {max_send_bytes: 9}}}",
        "telemetry: {console: true}",
    )

    reload.refresh(environment.runtime)

    assert 5 == environment.attempts()
    file = environment.file
    assert [
        (
            f"{file}:2: policies.defaults.connection: changed; channels that are open keep what they have, "
            "those opened from now on follow"
        ),
        f"{file}:3: telemetry: changed; takes effect when the process starts again",
    ] == caplog.messages


def test_a_runtime_without_a_file_has_nothing_to_follow(tmp_path):
    reload.refresh(runtime())

    assert reload.watch(runtime(), {}) is None
    assert reload.watch(Environment(tmp_path).runtime, {"MESH_RELOAD": "0"}) is None


def test_the_file_is_watched_from_a_thread(tmp_path):
    environment = Environment(tmp_path)
    watcher = reload.watch(environment.runtime, {}, interval=0.01)
    try:
        environment.write("{defaults: {retry: {max_attempts: 6}}}")
        until = time.monotonic() + 3.0
        while environment.attempts() != 6 and time.monotonic() < until:
            time.sleep(0.005)
    finally:
        watcher.stop()

    assert 6 == environment.attempts()
    assert "mesh-reload" not in {thread.name for thread in threading.enumerate()}


async def test_a_push_every_10_ms_under_load_fails_no_call():
    """No failed call, as many mechanisms at the end as at the start, every counter back to zero."""
    using = runtime()
    node = await Node().start(using=using)
    channel = mesh.channel(node.address, using=using)
    call = channel.unary_unary(GET)
    changing = "deadline: {{default_timeout: {0}s}}, circuit_breaker: {{minimum_calls: {0}}}, client_concurrency: {{max_in_flight: {0}}}"
    tables = [policies(changing.format(number)) for number in range(100, 110)]
    sizes, done = set(), False

    async def load() -> int:
        count = 0
        while not done:
            assert b"node" == await call(b"")
            count += 1
        return count

    try:
        for method in (GET, BUY):  # what is compiled at its first call is there from the beginning
            assert b"node" == await channel.unary_unary(method)(b"")
        callers = [asyncio.ensure_future(load()) for _ in range(8)]
        for push in range(300):
            # From another thread, as the watcher does it.
            await asyncio.to_thread(using.reload, tables[push % len(tables)])
            sizes.add(using.state.size)
            await asyncio.sleep(0.01)
        done = True
        calls = await asyncio.gather(*callers)
    finally:
        done = True
        await channel.close()
        await node.server.stop()

    assert all(count > 100 for count in calls)
    assert 1 == len(sizes)
    assert {0} == {*values(using, CLIENT_ACTIVE_CALLS), *values(using, SERVER_ACTIVE_CALLS)}
    assert 2 == len(values(using, CIRCUIT_STATE))


async def test_an_edit_reaches_a_running_channel_within_three_seconds(tmp_path):
    node = await Node().start()
    file = tmp_path / "mesh.yaml"
    text = "services: [{{name: shop, endpoints: ['{}']}}]\npolicies: {}\n"
    file.write_text(text.format(node.address, "{}"))
    using = Runtime(environments.require(file))
    watcher = reload.watch(using, os.environ)
    channel = mesh.channel("shop", using=using)
    node.answer = node.hang
    try:
        file.write_text(text.format(node.address, "{defaults: {deadline: {default_timeout: 0.05s}}}"))
        began = time.monotonic()
        while (using.policies.policy(GET).deadline.default_timeout is None) and time.monotonic() < began + 3:
            await asyncio.sleep(0.05)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary(GET)(b"")
        assert "DEADLINE_EXCEEDED" == caught.value.code().name
    finally:
        watcher.stop()
        await channel.close()
        await node.server.stop()
