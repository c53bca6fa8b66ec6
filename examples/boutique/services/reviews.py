"""Reviews: keeps what buyers say, in order, and sums up their stars."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Mapping
from typing import Any

from boutique.reviews.v1 import reviews_pb2 as pb
from boutique.reviews.v1 import reviews_pb2_grpc

import mesh
from services import data, page, problem
from services.clock import Clock, now
from services.problem import Context

_LONGEST = {"author": 40, "text": 2_000}


class Reviews(reviews_pb2_grpc.ReviewServiceServicer):
    def __init__(self, reviews: Mapping[str, list[dict[str, Any]]], clock: Clock = now) -> None:
        self._reviews: dict[str, list[pb.Review]] = {}
        self._clock = clock
        for product_id, rows in reviews.items():
            for row in rows:
                said = pb.Review(author=row["author"], stars=row["stars"], text=row["text"])
                midnight = dt.datetime.combine(row["date"], dt.time(), dt.UTC)
                self._add(f"products/{product_id}", said, midnight)

    async def ListReviews(self, request: pb.ListReviewsRequest, context: Context) -> pb.ListReviewsResponse:
        await self._check_parent(context, request.parent)
        latest_first = reversed(self._reviews.get(request.parent, ()))
        found = [review for review in latest_first if review.stars >= request.min_stars]
        reviews, token = await page.cut(
            context, found, size=request.page_size, token=request.page_token, default=5
        )
        return pb.ListReviewsResponse(reviews=reviews, next_page_token=token)

    async def SummarizeReviews(
        self, request: pb.SummarizeReviewsRequest, context: Context
    ) -> pb.SummarizeReviewsResponse:
        await self._check_parent(context, request.parent)
        counts = Counter(review.stars for review in self._reviews.get(request.parent, ()))
        total = counts.total()
        average = sum(stars * count for stars, count in counts.items()) / total if total else 0
        return pb.SummarizeReviewsResponse(
            summary=pb.RatingSummary(
                average_stars=round(average, 2), count=total, count_by_stars=dict(sorted(counts.items()))
            )
        )

    async def CreateReview(
        self, request: pb.CreateReviewRequest, context: Context
    ) -> pb.CreateReviewResponse:
        await self._check_parent(context, request.parent)
        said, violations = request.review, {}
        if not 1 <= said.stars <= 5:
            violations["review.stars"] = f"{said.stars} is not between 1 and 5"
        for field, longest in _LONGEST.items():
            value = getattr(said, field)
            if not value.strip():
                violations[f"review.{field}"] = "is missing"
            elif len(value) > longest:
                violations[f"review.{field}"] = f"has {len(value)} characters, and may have {longest}"
        if violations:
            await problem.invalid(context, violations)
        review = pb.Review(author=said.author.strip(), stars=said.stars, text=said.text.strip())
        return pb.CreateReviewResponse(review=self._add(request.parent, review, self._clock()))

    async def _check_parent(self, context: Context, parent: str) -> None:
        kind, _, product_id = parent.partition("/")
        if kind != "products" or not product_id or "/" in product_id:
            await problem.invalid(context, {"parent": f'"{parent}" is not of the form "products/ID"'})

    def _add(self, parent: str, review: pb.Review, moment: dt.datetime) -> pb.Review:
        reviews = self._reviews.setdefault(parent, [])
        review.name = f"{parent}/reviews/{len(reviews) + 1}"
        review.create_time.FromDatetime(moment)
        reviews.append(review)
        return review


if __name__ == "__main__":
    server = mesh.server("reviews")
    reviews_pb2_grpc.add_ReviewServiceServicer_to_server(Reviews(data.load("reviews")), server)
    server.run()
