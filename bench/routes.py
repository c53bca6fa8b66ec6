"""What routing costs with the HTTP rules of all of Google's APIs, or of a descriptor set: to load, and a request.

    python -m bench.routes             the rules of googleapis, which come with the tests
    python -m bench.routes all.binpb   those of a descriptor set, with the pool and the checks of its annotations

Each request is one the routes were made for; every route is asked once a round, in a random order, so that nothing is
warm in the processor's caches that a gateway of so many routes would not have there.
"""

from __future__ import annotations

import gc
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from gateway.route import table
from gateway.route import template as templates
from gateway.route.template import Kind, Template
from gateway.route.trie import Trie
from gateway.schema.pool import read_set
from tests.gateway.route import googleapis

Routes = list[tuple[str, Template]]
T = TypeVar("T")

ROUNDS = 9
FEW = 40
BUDGET_LOAD, BUDGET_MATCH = 5.0, 5.0


def main(arguments: list[str]) -> None:
    if arguments:
        data = Path(arguments[0]).read_bytes()
        (schema, _), pool = timed(lambda: read_set(data))
        (read, problems), load = timed(lambda: table.read(schema.services, unannotated=False))
        routes = [(binding.http_method, binding.template) for binding in read.bindings]
        methods = len({binding.full_method for binding in read.bindings})
        print(f"{'pool of descriptors':<36}{pool:>9.2f} s")
        print(f"{'table, annotations checked':<36}{load:>9.2f} s, {len(problems)} problems")
    else:
        rules = googleapis.read()
        routes, load = timed(lambda: distinct((rule.http_method, rule.template) for rule in rules))
        methods = len({rule.method for rule in rules})
        print(f"{'templates':<36}{load:>9.2f} s")
    trie, indexed = timed(lambda: Trie((method, template, None) for method, template in routes))
    print(f"{'trie':<36}{indexed:>9.2f} s")
    print(f"{'together':<36}{load + indexed:>9.2f} s, budget {BUDGET_LOAD:.0f} s")
    print(f"{len(routes)} routes of {methods} methods\n")

    print(f"{'request':<36}{'median':>9}{'p90':>9}{'p99':>9}   us")
    show("each route once", trie, routes)
    show("no such method (405)", trie, [("PURGE", template) for _, template in routes])
    few = random.Random(1).sample(routes, min(FEW, len(routes)))
    show(f"a gateway of {len(few)} routes", Trie((method, template, None) for method, template in few), few)
    print(f"budget: {BUDGET_MATCH:.0f} us at the median")


def timed(call: Callable[[], T]) -> tuple[T, float]:
    """Return what a call returns, and its CPU seconds."""
    start = time.process_time()
    return call(), time.process_time() - start


def distinct(rules: Iterable[tuple[str, str]]) -> Routes:
    """Read the templates; of those that match the same requests keep the first."""
    kept = {}
    for method, source in rules:
        template = templates.read(source)
        kept.setdefault((method, template.shape), (method, template))
    return list(kept.values())


def path(template: Template) -> bytes:
    """Return a path the template matches, as long as real ones are."""
    words = {Kind.ONE: "item-12345", Kind.REST: "some/more"}
    text = "/".join(words.get(segment.kind, segment.text) for segment in template.segments)
    return f"/{text}{':' if template.verb else ''}{template.verb}".encode()


def show(title: str, trie: Trie[None], routes: Routes) -> None:
    """Print the percentiles over the requests of each one's median over the rounds."""
    requests = [(method, path(template)) for method, template in routes]
    rounds: list[list[int]] = [[] for _ in requests]
    order = list(range(len(requests)))
    find, clock = trie.find, time.perf_counter_ns
    gc.collect()
    gc.disable()
    overhead = statistics.median(-clock() + clock() for _ in range(1000))
    for _ in range(ROUNDS):
        random.Random(1).shuffle(order)
        for index in order:
            method, raw = requests[index]
            start = clock()
            find(method, raw)
            rounds[index].append(clock() - start)
    gc.enable()
    costs = sorted((statistics.median(samples) - overhead) / 1000 for samples in rounds)
    median, p90, p99 = (costs[int(len(costs) * share)] for share in (0.5, 0.9, 0.99))
    print(f"{title:<36}{median:>9.2f}{p90:>9.2f}{p99:>9.2f}")


if __name__ == "__main__":
    main(sys.argv[1:])
