"""A server with some places and a queue before it, in virtual time, behind a concurrency limit: what limits are tried on."""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Callable

from mesh.mechanism.concurrency import ConcurrencyLimit


class Server:
    """Answers as many calls at once as it has places, first come first served; calls arrive at a rate, by seed."""

    def __init__(
        self, limit: ConcurrencyLimit, *, places: int, service: Callable[[float], float], seed: int
    ) -> None:
        """`service` is how many seconds the work of a call takes, by the time it begins."""
        self.limit = limit
        self.places = places
        self.service = service
        self.random = random.Random(seed)
        self.now = 0.0
        self.busy: list[tuple[float, float]] = []  # (when it ends, when its call began)
        self.queue: deque[float] = deque()
        self.limits: list[int] = []
        self.latencies: list[float] = []
        self.refused = 0

    def run(self, seconds: float, rate: float) -> None:
        """Let calls arrive for so long, and note what each second looked like at its end."""
        end, arrival = self.now + seconds, self.now
        self.limits, self.latencies, self.refused = [], [], 0
        while True:
            arrival += self.random.expovariate(rate)
            while self.busy and self.busy[0][0] <= min(arrival, end):
                self._finish()
            self.now = min(arrival, end)
            if arrival >= end:
                return
            self._arrive()

    def drain(self) -> None:
        """Let everything end that is there."""
        while self.busy:
            self._finish()

    def _arrive(self) -> None:
        if not self.limit.try_acquire():
            self.refused += 1
        elif len(self.busy) < self.places:
            self._start(self.now)
        else:
            self.queue.append(self.now)

    def _start(self, began: float) -> None:
        heapq.heappush(self.busy, (self.now + self.service(self.now) * self.random.uniform(0.7, 1.3), began))

    def _finish(self) -> None:
        self.now, began = heapq.heappop(self.busy)
        self.limit.release(began, True, self.now)
        self.limits.append(self.limit.limit)
        self.latencies.append(self.now - began)
        if self.queue:
            self._start(self.queue.popleft())
