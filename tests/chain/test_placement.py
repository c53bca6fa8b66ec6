"""An application's own stages: placed by name, checked by compile, run like ours, shown by explain."""

from __future__ import annotations

import pytest

from mesh.call import Arity, Call, Outcome, Side
from mesh.chain import Chains
from mesh.contract import Stage
from mesh.engine import run
from mesh.errors import ChainError, ConfigError
from mesh.order import ORDER, Span
from mesh.placement import extend, place
from mesh.telemetry.telemetry import Telemetry
from tests.chain.test_chains import GET, Clock, names, outcome, policies


class Audit(Stage):
    """Counts what it sees."""

    name = "audit"

    def __init__(self) -> None:
        self.seen = 0

    def settle(self, call, ticket, outcome, now):
        self.seen += 1


class Tenant(Stage):
    name = "tenant"

    def admit(self, call, now):
        return Outcome(7, "no tenant", rejected_by=self.name)


def chains(*stages, side: Side = Side.CLIENT, text: str = "") -> Chains:
    return Chains(
        policies(text),
        side=side,
        target="shop",
        telemetry=Telemetry(),
        clock=Clock(),
        order=extend(stages, side),
    )


def ordered(*stages, side: Side = Side.CLIENT) -> list[str]:
    return [slot.name for slot in extend(stages, side)]


def test_a_stage_stands_right_after_or_right_before_the_one_it_names():
    after = ordered(place(Audit, after="deadline"))
    before = ordered(place(Audit, before="circuit_breaker", per="attempt"))

    assert "audit" == after[after.index("deadline") + 1]
    assert "audit" == before[before.index("circuit_breaker") - 1]
    assert [slot.name for slot in ORDER] == [name for name in after if name != "audit"]


def test_several_at_one_place_stand_in_the_order_given():
    for options in ({"after": "deadline"}, {"before": "deadline"}):
        order = ordered(place(Audit, **options), place(Tenant, **options))
        assert order.index("audit") + 1 == order.index("tenant")


def test_what_is_between_attempts_is_one_place():
    order = ordered(place(Audit, before="retry"), place(Tenant, after="hedge", per="attempt"))

    between = [slot.name for slot in ORDER if slot.span is Span.BETWEEN]
    assert ["audit", *between, "tenant"] == order[order.index("audit") : order.index("tenant") + 1]


def test_a_stage_may_stand_by_another_of_the_applications():
    order = ordered(place(Audit, after="deadline"), place(Tenant, after="audit"))

    assert order.index("audit") + 1 == order.index("tenant")


def test_it_runs_once_for_each_call_or_for_each_attempt():
    per_call, per_attempt = Audit(), Audit()
    per_attempt.name = "tries"
    made = chains(
        place(per_call, after="deadline"), place(per_attempt, after="client_concurrency", per="attempt")
    )

    flow = run(made.find(GET, Arity.UNARY_UNARY), Call(GET, Arity.UNARY_UNARY), made.clock, lambda: 0.0)
    next(flow)
    flow.send(Outcome(14))  # fails, and sleeps
    flow.send(None)
    with pytest.raises(StopIteration):
        flow.send(Outcome(0))

    assert (1, 2) == (per_call.seen, per_attempt.seen)


def test_it_may_refuse_a_call():
    end = outcome(chains(place(Tenant, after="deadline")))

    assert ("tenant", 7) == (end.rejected_by, end.code)


def test_a_function_of_the_scope_makes_a_stage_for_each_method_or_declines():
    def audit(scope):
        return Audit() if scope.method == GET else None

    made = chains(place(audit, after="deadline"))

    assert "audit" in names(made.find(GET, Arity.UNARY_UNARY))[0]
    assert "audit" not in names(made.find("/shop.v1.Shop/Buy", Arity.UNARY_UNARY))[0]


def test_it_survives_a_push():
    audit = Audit()
    made = chains(place(audit, after="deadline"))
    made.find(GET, Arity.UNARY_UNARY)

    made.swap(policies("metrics: {enabled: false}"))

    assert audit in made.find(GET, Arity.UNARY_UNARY).per_call


def test_explain_shows_it():
    text = chains(place(Audit, after="deadline", before="retry")).explain(GET, Arity.UNARY_UNARY)

    assert "  call     audit               Counts what it sees." in text
    assert "because the application placed it after deadline and before retry" in text


@pytest.mark.parametrize(
    ("stages", "side", "expected"),
    [
        (
            [place(Audit, after="deadlin")],
            Side.CLIENT,
            'stage "audit": "deadlin" is not a stage; did you mean "deadline"?',
        ),
        (
            [place(Audit, before="circuit_breaker", per="attempt")],
            Side.SERVER,
            'stage "audit": "circuit_breaker" is not a stage of a server; there are ',
        ),
        (
            [place(Audit, after="deadline"), place(Audit, before="retry")],
            Side.CLIENT,
            'stage "audit": there is a stage of this name already',
        ),
        (
            [place(Audit, after="circuit_breaker")],
            Side.CLIENT,
            (
                'stage "audit": it is per call, but at circuit_breaker stages are per attempt; say per="attempt", '
                "or place it elsewhere"
            ),
        ),
        (
            [place(Audit, before="deadline", per="attempt")],
            Side.CLIENT,
            (
                'stage "audit": it is per attempt, but at deadline stages are per call; say per="call", '
                "or place it elsewhere"
            ),
        ),
        (
            [place(Audit, after="hedge", before="retry")],
            Side.CLIENT,
            (
                'stage "audit": retry is between two attempts: stages per call are before it, those per attempt after'
            ),
        ),
        (
            [place(Audit, after="retry", before="metrics")],
            Side.CLIENT,
            'stage "audit": metrics runs before retry, so nothing is after retry and before metrics',
        ),
    ],
)
def test_places_that_cannot_be(stages, side, expected):
    with pytest.raises(ChainError) as caught:
        extend(stages, side)

    assert str(caught.value).startswith(expected)


def test_every_wrong_place_is_reported():
    with pytest.raises(ChainError, match=r'"audit": "a" is not a stage.*"tenant": "b" is not a stage'):
        extend([place(Audit, after="a"), place(Tenant, after="b")], Side.CLIENT)


class Nameless(Stage):
    pass


@pytest.mark.parametrize(
    ("stage", "options", "expected"),
    [
        (Audit, {}, 'stage "audit": say where it sits, with after="..." or before="..."'),
        (
            Audit,
            {"after": "deadline", "per": "message"},
            'stage "audit": per=\'message\' is neither "call" nor "attempt"',
        ),
        (Nameless, {"after": "deadline"}, 'Nameless needs a name of its own: name = "..." in the class'),
        (Nameless(), {"after": "deadline"}, 'Nameless needs a name of its own: name = "..." in the class'),
        (
            int,
            {"after": "deadline"},
            "<class 'int'> is neither a mesh.Stage, nor a class of them, nor a function that returns one",
        ),
        (
            3,
            {"after": "deadline"},
            "3 is neither a mesh.Stage, nor a class of them, nor a function that returns one",
        ),
    ],
)
def test_what_cannot_be_placed(stage, options, expected):
    with pytest.raises(ChainError) as caught:
        place(stage, **options)

    assert expected == str(caught.value)


def test_what_the_binding_cannot_do_is_shown_and_refused_where_it_is_required():

    def inert(scope):
        return {"deadline": "a test says so"}

    shown = Chains(policies(""), side=Side.CLIENT, target="shop", telemetry=Telemetry(), inert=inert)
    required = Chains(
        policies("required: [deadline]"), side=Side.CLIENT, target="shop", telemetry=Telemetry(), inert=inert
    )

    assert "inert    deadline (a test says so)" in shown.explain(GET, Arity.UNARY_UNARY)
    with pytest.raises(ConfigError) as caught:
        required.find(GET, Arity.UNARY_UNARY)
    assert f'{GET}.required: "deadline" must be enforced, but does nothing here: a test says so' == str(
        caught.value
    )
