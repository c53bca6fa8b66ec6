"""A run through all its completion orders, and its rules one by one. No event loop, no clock."""

from __future__ import annotations

import dataclasses

import pytest

from gateway.compose.run import Run
from mesh.call import Code, Outcome

GET = 'call: "shop.v1.CatalogService/GetProduct"'
LIST = 'call: "shop.v1.CatalogService/ListProducts"'
ORDER = 'call: "shop.v1.OrderService/PlaceOrder"'

# a -> b? -> d?    (? = optional)      each?, over two items, two or one at a time
# a -> c  -> d?
WIDE = f"""
steps: {{ name: "a" {GET} request: {{ field: "id" value: "request.product_id" }} }}
steps: {{ name: "b" {GET} request: {{ field: "id" value: "a.id" }} optional: true }}
steps: {{ name: "c" {ORDER} request: {{ field: "product_id" value: "a.id" }} }}
steps: {{
  name: "d" {LIST} optional: true
  request: {{ field: "filter.tag" value: "b.id" }} request: {{ field: "name" value: "c.id" }}
}}
steps: {{
  name: "each" {GET} optional: true request: {{ field: "id" value: "item" }}
  for_each: {{ over: "request.related_ids" max_concurrency: WIDTH }}
}}
response: {{ field: "product" value: "a" }} response: {{ field: "second" value: "b" }}
response: {{ field: "order" value: "c" }} response: {{ field: "list" value: "d" }}
response: {{ field: "related" value: "each" }} response: {{ field: "tags" value: "each[].tags" }}
"""
NEEDS = {"a": "", "b": "a", "c": "a", "d": "bc", "each": ""}
FILLS = {"a": ["product"], "b": ["second"], "c": ["order"], "d": ["list"], "each": ["related", "tags"]}
FAILED = Outcome(int(Code.UNAVAILABLE), "gone", trailing=(("x", "1"),))


def answer(call):
    """An answer that names the call it is for."""
    new = call.node.response_class
    text = f"{call.node.name}{call.item}"
    message = new(products=[{"id": text}]) if "products" in new.DESCRIPTOR.fields_by_name else new(id=text)
    return Outcome(0, value=message.SerializeToString())


@dataclasses.dataclass
class Story:
    """One path through a run, and a naive model of what must be true on it."""

    plan: object
    width: int
    request: object

    def tell(self, choices):
        """Replay the choices; return the number of choices there are next, 0 at the end."""
        run = Run(self.plan, self.request)
        flying = run.start(0.0)
        started = [(call.node.name, call.item) for call in flying]
        done, failed, omitted = {}, "", {}
        self.check(run, flying, started, done, failed, omitted)
        for choice in choices:
            call, fails = flying.pop(choice // 2), bool(choice % 2)
            name = call.node.name
            moves = run.complete(call, FAILED if fails else answer(call), 0.0)
            if not fails:
                done.setdefault(name, set()).add(call.item)
            elif name in "ac":
                failed = name
                assert not moves.start
                assert set(moves.cancel) == set(flying)
            else:
                omitted[name] = call.item
                if name == "b":
                    omitted.setdefault("d", None)
                assert set(moves.cancel) == {other for other in flying if other.node.name == name}
            for cancelled in moves.cancel:
                flying.remove(cancelled)
                assert not run.wants(cancelled)
                assert run.complete(cancelled, answer(cancelled), 0.0) == ([], [])
            flying += moves.start
            started += [(started_call.node.name, started_call.item) for started_call in moves.start]
            self.check(run, flying, started, done, failed, omitted)
        if run.finished:
            self.check_result(run.result(), failed, omitted)
        return 0 if run.finished else 2 * len(flying)

    def check(self, run, flying, started, done, failed, omitted):
        assert all(run.wants(call) for call in flying)
        assert run.finished == (not flying)
        assert len(started) == len(set(started)), "a call is made once"
        if failed:
            return
        settled = {name for name, items in done.items() if name != "each" or len(items) == 2}
        for name, needs in NEEDS.items():
            may_start = settled.issuperset(needs) and (name not in omitted or omitted[name] is not None)
            assert ((name, 0) in started) == may_start, (
                "a step starts when its needs have answered, and only then"
            )
        if "each" not in omitted:
            assert ("each", 1) in started or self.width == 1
            assert sum(call.node.name == "each" for call in flying) <= self.width
            assert (("each", 1) in started) == (self.width == 2 or bool(done.get("each")))

    def check_result(self, result, failed, omitted):
        if failed:
            assert result.outcome == FAILED._replace(details=f'step "{failed}": gone')
            assert not result.omitted
            return
        assert result.outcome.code == 0
        page = result.outcome.value
        assert page.product.id == "a0"
        assert page.order.id == "c0"
        assert page.second.id == ("" if "b" in omitted else "b0")
        assert page.HasField("second") == ("b" not in omitted)
        assert [product.id for product in page.list.products] == ([] if "d" in omitted else ["d0"])
        assert [product.id for product in page.related] == ([] if "each" in omitted else ["each0", "each1"])
        details = {"b": "gone", "d": "gone" if omitted.get("d") == 0 else 'not called: it needs "b"'}
        details["each"] = f"item {(omitted.get('each') or 0) + 1} of 2: gone"
        expected = [
            (name, "UNAVAILABLE", details[name], FILLS[name])
            for name in ("b", "d", "each")
            if name in omitted
        ]
        assert [(o.step, o.status, o.message, list(o.fields)) for o in page.omitted] == expected
        assert [(o.node.name, o.code, o.details) for o in result.omitted] == [
            (name, Code.UNAVAILABLE, message) for name, _, message, _ in expected
        ]


@pytest.mark.parametrize(("width", "stories"), [(1, 242), (2, 480)])
def test_every_completion_order_with_every_failure(shop, width, stories):
    request = shop.new("GetPageRequest", product_id="p", related_ids=["x", "y"])
    story = Story(shop.plan(WIDE.replace("WIDTH", str(width))), width, request)
    told, pending = 0, [()]
    while pending:
        choices = pending.pop()
        following = story.tell(choices)
        told += not following
        pending += [(*choices, choice) for choice in range(following)]
    assert told == stories


def steps(*texts, response=""):
    return " ".join(f"steps: {{ {text} }}" for text in texts) + response


def start(shop, text, now=0.0, deadline=None, **fields):
    run = Run(shop.plan(text), shop.new("GetPageRequest", **fields), deadline)
    return run, run.start(now)


def test_each_call_gets_the_least_of_its_timeout_and_what_remains(shop):
    """Without a timeout of its own a step has what its policy says, so that a default there still counts."""
    text = steps(
        f'name: "a" {ORDER} timeout: {{ seconds: 2 }}',
        f'name: "b" {ORDER} timeout: {{ seconds: 8 }}',
        f'name: "c" {ORDER}',
        f'name: "d" {ORDER} timeout: {{ seconds: 2 }} request: {{ field: "product_id" value: "a.id" }}',
    )
    run, calls = start(shop, text, now=100.0, deadline=105.0)
    assert [call.timeout for call in calls] == [2.0, 5.0, None]
    (late,) = run.complete(calls[0], answer(calls[0]), 104.0).start
    assert late.timeout == 1.0
    _, calls = start(shop, text, now=100.0)
    assert [call.timeout for call in calls] == [2.0, 8.0, None]


def test_nothing_starts_after_the_deadline(shop):
    text = steps(f'name: "a" {ORDER}', f'name: "b" {ORDER} request: {{ field: "product_id" value: "a.id" }}')
    run, calls = start(shop, text, now=100.0, deadline=101.0)
    moves = run.complete(calls[0], answer(calls[0]), 101.0)
    assert moves == ([], [])
    assert run.finished
    outcome = run.result().outcome
    assert outcome.code == Code.DEADLINE_EXCEEDED
    assert outcome.details == 'step "b": the deadline passed before the call was made'


def test_a_run_that_begins_late_makes_no_call(shop):
    text = steps(f'name: "a" {ORDER} optional: true', f'name: "b" {ORDER}', f'name: "c" {ORDER}')
    run, calls = start(shop, text, now=100.0, deadline=100.0)
    assert not calls
    assert run.finished
    assert run.result().outcome.details.startswith('step "b": ')


def test_a_run_that_begins_late_omits_what_is_optional(shop):
    text = steps(f'name: "a" {ORDER} optional: true', f'name: "b" {ORDER} optional: true')
    run, calls = start(shop, text, now=100.0, deadline=99.0)
    assert (calls, run.finished) == ([], True)
    assert [omission.code for omission in run.result().omitted] == [Code.DEADLINE_EXCEEDED] * 2


EACH = f"""name: "each" {GET} request: {{ field: "id" value: "item" }} timeout: {{ seconds: 10 }}
for_each: {{ over: "request.related_ids" max_concurrency: 2 }}"""
RELATED = 'response: { field: "related" value: "each[]" }'


def test_results_are_in_the_order_of_the_items(shop):
    run, calls = start(shop, steps(EACH, response=RELATED), related_ids=["x", "y", "z"])
    assert [call.item for call in calls] == [0, 1]
    (third,) = run.complete(calls[1], answer(calls[1]), 0.0).start
    assert run.complete(third, answer(third), 0.0) == ([], [])
    assert not run.finished
    run.complete(calls[0], answer(calls[0]), 0.0)
    assert [product.id for product in run.result().outcome.value.related] == ["each0", "each1", "each2"]


def test_items_become_requests(shop):
    _, calls = start(shop, steps(EACH, response=RELATED), related_ids=["x", "y"])
    request = type(shop.new("GetProductRequest"))
    assert [request.FromString(call.request).id for call in calls] == ["x", "y"]


def test_no_items_no_calls(shop):
    text = steps(EACH, f'name: "b" {ORDER} request: {{ field: "product_id" value: "request.product_id" }}')
    run, calls = start(shop, text + RELATED)
    assert [call.node.name for call in calls] == ["b"]
    run.complete(calls[0], answer(calls[0]), 0.0)
    assert run.result().outcome.value == shop.new("GetPageResponse")


def test_no_items_unlock_what_needs_them(shop):
    text = steps(EACH, f'name: "all" {LIST} request: {{ field: "ids" value: "each[].id" }}')
    run, calls = start(shop, text)
    assert [call.node.name for call in calls] == ["all"]
    assert not run.finished


def test_the_timeout_of_a_fan_out_is_for_all_its_calls(shop):
    run, calls = start(shop, steps(EACH, response=RELATED), now=100.0, deadline=200.0, related_ids="wxyz")
    assert [call.timeout for call in calls] == [10.0, 10.0]
    (third,) = run.complete(calls[0], answer(calls[0]), 107.0).start
    assert third.timeout == 3.0
    moves = run.complete(calls[1], answer(calls[1]), 110.0)
    assert moves == ([], [third])
    assert run.result().outcome.code == Code.DEADLINE_EXCEEDED
    assert run.result().outcome.details == (
        'step "each": item 4 of 4: the deadline passed before the call was made'
    )


def test_a_fan_out_without_limits_has_none(shop):
    text = steps(EACH.replace("timeout: { seconds: 10 }", ""), response=RELATED)
    run, calls = start(shop, text, related_ids="xyz")
    (third,) = run.complete(calls[0], answer(calls[0]), 0.0).start
    assert [call.timeout for call in (*calls, third)] == [None, None, None]


def test_a_step_that_lost_two_needs_is_omitted_once(shop):
    text = steps(
        f'name: "a" {ORDER} optional: true',
        f'name: "b" {ORDER} optional: true',
        f'name: "c" {LIST} optional: true request: {{ field: "name" value: "b.id" }} '
        'request: { field: "filter.tag" value: "a.id" }',
    )
    run, calls = start(shop, text)
    run.complete(calls[1], FAILED, 0.0)
    assert not run.finished
    run.complete(calls[0], FAILED, 0.0)
    assert run.finished
    assert [(omission.node.name, omission.details) for omission in run.result().omitted] == [
        ("a", "gone"),
        ("b", "gone"),
        ("c", 'not called: it needs "b"'),
    ]


def test_an_answer_that_is_no_message_is_the_steps_failure(shop):
    text = steps(f'name: "a" {ORDER}', f'name: "b" {ORDER}')
    run, calls = start(shop, text)
    moves = run.complete(calls[0], Outcome(0, value=b"\xff"), 0.0)
    assert moves.cancel == [calls[1]]
    outcome = run.result().outcome
    assert outcome.code == Code.INTERNAL
    assert outcome.details.startswith(
        'step "a": /shop.v1.OrderService/PlaceOrder answered with no valid shop.v1.Order: '
    )


def test_a_run_and_its_calls_have_a_readable_form(shop):
    run, calls = start(shop, steps(f'name: "a" {ORDER}'))
    assert repr(run) == "<Run /shop.v1.StorefrontService/GetPage left=1 in flight=1>"
    assert repr(calls) == "[<Call a[0] timeout=None>]"
    run.complete(calls[0], FAILED, 0.0)
    assert repr(run) == "<Run /shop.v1.StorefrontService/GetPage failed in flight=0>"
