"""How long things take and how far apart they are, drawn from random numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random
from typing import Final

from mesh.simulate.scenario import Distribution, Latency

_Z99: Final = 2.3263478740408408
"""The 99th percentile of the standard normal distribution."""


def sampler(latency: Latency, random: Random) -> Callable[[], float]:
    """Return what draws one duration, in seconds."""
    median = latency.median
    if latency.distribution is Distribution.CONSTANT:
        return lambda: median
    if latency.distribution is Distribution.EXPONENTIAL:
        rate = math.log(2.0) / median
        return lambda: random.expovariate(rate)
    # log(x) is normal with mean log(median); its 99th percentile is _Z99 deviations above.
    mu, sigma = math.log(median), math.log(latency.p99 / median) / _Z99
    gauss = random.gauss
    return lambda: math.exp(gauss(mu, sigma))
