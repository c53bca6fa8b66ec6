"""What is recommended is what was bought together most often, the same on every instance."""

from boutique.recommendations.v1 import recommendations_pb2 as pb
from boutique.recommendations.v1 import recommendations_pb2_grpc


async def related(serve, baskets, **request):
    from services.recommendations import Recommendations

    add = recommendations_pb2_grpc.add_RecommendationServiceServicer_to_server
    stub = recommendations_pb2_grpc.RecommendationServiceStub(
        await serve("recommendations", add, Recommendations(baskets))
    )
    answer = await stub.ListRelatedProducts(pb.ListRelatedProductsRequest(**request))
    return list(answer.product_ids)


async def test_the_most_frequent_companion_comes_first_and_names_break_ties(serve):
    baskets = [["mug", "pot"], ["mug", "pot", "tea"], ["mug", "axe"], ["pot", "axe"]]
    assert await related(serve, baskets, product_id="mug") == ["pot", "axe", "tea"]


async def test_a_basket_with_two_of_a_kind_counts_once(serve):
    assert await related(
        serve, [["mug", "mug", "pot"], ["mug", "axe"], ["axe", "mug"]], product_id="mug"
    ) == [
        "axe",
        "pot",
    ]


async def test_no_more_than_asked_for(serve):
    assert len(await related(serve, [list("abcdefgh")], product_id="a", max_results=2)) == 2


async def test_nothing_is_known_about_what_nobody_bought(serve):
    assert await related(serve, [["mug", "pot"]], product_id="tea") == []
