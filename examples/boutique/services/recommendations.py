"""Recommendations: counts what was bought together, and suggests the most frequent companions."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable

from boutique.recommendations.v1 import recommendations_pb2 as pb
from boutique.recommendations.v1 import recommendations_pb2_grpc

import mesh
from services import data, problem
from services.problem import Context

USUAL = 4
MOST = 12


class Recommendations(recommendations_pb2_grpc.RecommendationServiceServicer):
    def __init__(self, baskets: Iterable[Iterable[str]]) -> None:
        companions: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for basket in baskets:
            for one, other in itertools.permutations(sorted(set(basket)), 2):
                companions[one][other] += 1
        # By count, then by name: the same question has the same answer on every instance.
        self._companions = {
            product_id: sorted(counts, key=lambda name: (-counts[name], name))
            for product_id, counts in companions.items()
        }

    async def ListRelatedProducts(
        self, request: pb.ListRelatedProductsRequest, context: Context
    ) -> pb.ListRelatedProductsResponse:
        if request.max_results < 0:
            await problem.invalid(context, {"max_results": f"{request.max_results} is negative"})
        companions = self._companions.get(request.product_id, [])
        return pb.ListRelatedProductsResponse(
            product_ids=companions[: min(request.max_results or USUAL, MOST)]
        )


if __name__ == "__main__":
    server = mesh.server("recommendations")
    recommendations_pb2_grpc.add_RecommendationServiceServicer_to_server(
        Recommendations(data.load("baskets")), server
    )
    server.run()
