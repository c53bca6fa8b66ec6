"""Reviews come latest first, add up, and are checked before they are kept."""

import grpc
import pytest
from boutique.reviews.v1 import reviews_pb2 as pb

from .conftest import violations


async def test_the_latest_comes_first_and_pages_follow(reviews):
    first = await reviews.ListReviews(pb.ListReviewsRequest(parent="products/enamel-mug", page_size=3))
    assert [review.author for review in first.reviews] == ["Bashir", "Ottoline", "Marek"]
    rest = await reviews.ListReviews(
        pb.ListReviewsRequest(parent="products/enamel-mug", page_token=first.next_page_token)
    )
    assert [review.author for review in rest.reviews] == ["Ilse"]
    assert not rest.next_page_token


async def test_only_as_many_stars_as_asked_for(reviews):
    found = await reviews.ListReviews(pb.ListReviewsRequest(parent="products/enamel-mug", min_stars=5))
    assert {review.stars for review in found.reviews} == {5}


async def test_a_summary_adds_up(reviews):
    answer = await reviews.SummarizeReviews(pb.SummarizeReviewsRequest(parent="products/enamel-mug"))
    assert answer.summary.average_stars == 4.75
    assert dict(answer.summary.count_by_stars) == {4: 1, 5: 3}


async def test_a_product_without_reviews_has_an_empty_summary(reviews):
    answer = await reviews.SummarizeReviews(pb.SummarizeReviewsRequest(parent="products/hammock"))
    assert answer.summary == pb.RatingSummary()


async def test_a_review_is_named_dated_and_counted(reviews):
    said = pb.Review(name="mine", author=" Ada ", stars=5, text="Holds.")
    kept = (await reviews.CreateReview(pb.CreateReviewRequest(parent="products/hammock", review=said))).review
    assert (kept.name, kept.author) == ("products/hammock/reviews/1", "Ada")
    assert kept.create_time.ToJsonString() == "2025-06-04T12:00:00Z"
    answer = await reviews.SummarizeReviews(pb.SummarizeReviewsRequest(parent="products/hammock"))
    assert answer.summary.count == 1


async def test_every_wrong_field_of_a_review_is_named(reviews):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await reviews.CreateReview(
            pb.CreateReviewRequest(parent="products/hammock", review=pb.Review(author="x" * 41, stars=6))
        )
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert violations(caught.value) == {
        "review.stars": "6 is not between 1 and 5",
        "review.author": "has 41 characters, and may have 40",
        "review.text": "is missing",
    }


@pytest.mark.parametrize("parent", ["", "hammock", "products/", "products/a/b", "orders/1"])
async def test_a_parent_is_a_product(reviews, parent):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await reviews.ListReviews(pb.ListReviewsRequest(parent=parent))
    assert list(violations(caught.value)) == ["parent"]
