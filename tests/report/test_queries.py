"""Queries are chosen by the rule asked for, and their neighbours are the nearest training videos."""

import re

import numpy as np
import pytest

from mofore.embedding.store import Embeddings
from mofore.errors import UserError
from mofore.report.queries import NEIGHBOURS, QUERIES, check_queries, choose_examples
from tests.helpers.labelled_videos import HALF, HARD, make_videos, ten_classes


@pytest.fixture
def many() -> Embeddings:
    return ten_classes()


def test_one_query_of_each_of_the_hardest_classes_hardest_first(many: Embeddings) -> None:
    examples = choose_examples(many, "hardest", seed=1)
    assert [query.label for query in examples.queries] == [HARD, HALF, *(f"easy{i}" for i in range(6))]
    assert "8 of 10 classes" in examples.choice
    assert "40 test videos, 85%" in examples.choice, "the nearest neighbour is right for 34 of 40"


@pytest.mark.slow
def test_choice_within_a_class_ignores_whether_retrieval_is_right(many: Embeddings) -> None:
    shown = [choose_examples(many, "hardest", seed).queries[1] for seed in range(40)]
    right = [bool(query.right_K[0]) for query in shown if query.right_K is not None]
    assert {query.video for query in shown} == set(
        many.labelled("test").rows(many.labelled("test").label == HALF).video
    )
    assert 8 <= sum(right) <= 32, "half of the class is right"
    assert (
        choose_examples(many, "hardest", seed=3).queries[1].video
        == choose_examples(many, "hardest", seed=3).queries[1].video
    )


def test_neighbours_are_the_nearest_training_videos_marked_by_their_class(many: Embeddings) -> None:
    train = many.labelled("train")
    unit = train.x_ND / np.linalg.norm(train.x_ND, axis=1, keepdims=True)
    for query in choose_examples(many, "hardest", seed=1).queries:
        x = many.x_ND[many.video == query.video][0]
        cosine = unit @ x / np.linalg.norm(x)
        order = np.argsort(-cosine)[:NEIGHBOURS]
        assert list(query.videos_K) == list(train.video[order])
        assert query.similarity_K == pytest.approx(cosine[order], abs=1e-5)
        assert query.right_K is not None
        assert list(query.right_K) == list(train.label[order] == query.label)


def test_few_classes_give_several_queries_each() -> None:
    examples = choose_examples(make_videos(["a", "b", "c"]), "hardest", seed=1)
    labels = [query.label for query in examples.queries]
    assert len(labels) == QUERIES
    assert sorted(labels) == ["a"] * 3 + ["b"] * 3 + ["c"] * 2
    assert len({query.video for query in examples.queries}) == QUERIES
    assert "harder than average" not in examples.choice


def test_all_videos_are_shown_if_there_are_few() -> None:
    examples = choose_examples(make_videos(["a", "b"], videos=1), "hardest", seed=1)
    assert len(examples.queries) == 2
    assert all(len(query.videos_K) == 2 for query in examples.queries)


@pytest.mark.parametrize("videos", [make_videos(["a", "b", "c"], unlabelled=True), make_videos(["only"], videos=12)])
def test_neighbours_are_not_marked_without_two_classes(videos: Embeddings) -> None:
    examples = choose_examples(videos, "hardest", seed=1)
    assert len(examples.queries) == QUERIES
    assert all(query.right_K is None for query in examples.queries)
    assert "no labels" in examples.choice


def test_random_queries_are_of_all_test_videos(many: Embeddings) -> None:
    shown = [choose_examples(many, "random", seed) for seed in range(60)]
    assert {len(examples.queries) for examples in shown} == {QUERIES}
    assert {query.video for examples in shown for query in examples.queries} == set(many.labelled("test").video)
    assert "drawn at random (seed 0) of 40 test videos. Of all 40 test videos, 85% find" in shown[0].choice
    again = choose_examples(many, "random", 7)
    assert [query.video for query in again.queries] == [query.video for query in shown[7].queries]


def test_queries_of_the_classes_asked_for_in_their_order(many: Embeddings) -> None:
    shown = [choose_examples(many, f"easy3+{HARD} + easy0", seed) for seed in range(40)]
    assert all([query.label for query in examples.queries] == ["easy3", HARD, "easy0"] for examples in shown)
    of_class = set(many.labelled("test").rows(many.labelled("test").label == "easy3").video)
    assert {examples.queries[0].video for examples in shown} == of_class
    assert [query.right_K is not None and bool(query.right_K[0]) for query in shown[0].queries] == [True, False, True]
    assert "each class asked for" in shown[0].choice


def test_more_classes_than_usual_are_all_shown(many: Embeddings) -> None:
    names = [HARD, HALF, *(f"easy{i}" for i in range(8))]
    check_queries("+".join(names), many)
    assert [query.label for query in choose_examples(many, "+".join(names), 1).queries] == names


@pytest.mark.parametrize("rule", ["hardest", "random", "easy3", f"easy3+{HARD}"])
def test_valid_rules(rule: str, many: Embeddings) -> None:
    check_queries(rule, many)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("easy3+esy4", "params.yaml: report.queries: no test video is of class 'esy4' - did you mean 'easy4'? Use"),
        (
            "Skiing",
            "no test video is of class 'Skiing': use hardest, random, or classes joined by +: easy0, easy1, easy2",
        ),
        ("hardest+easy1", "no test video is of class 'hardest'"),
        ("easy1+", "no test video is of class ''"),
        ("", "no test video is of class ''"),
        ("easy1+easy2+easy1", "params.yaml: report.queries: class 'easy1' is named twice"),
    ],
)
def test_wrong_rules(rule: str, message: str, many: Embeddings) -> None:
    with pytest.raises(UserError, match=re.escape(message)):
        check_queries(rule, many)


def test_a_class_of_training_videos_alone_is_unknown(many: Embeddings) -> None:
    many.split[many.label == "easy3"] = "train"
    with pytest.raises(UserError, match="class 'easy3'"):
        check_queries("easy3", many)


def test_classes_need_labels() -> None:
    videos = make_videos(["a", "b"], unlabelled=True)
    check_queries("hardest", videos)
    with pytest.raises(UserError, match="no test video has a label: use hardest or random"):
        check_queries("a", videos)
    assert len(choose_examples(videos, "random", 1).queries) == QUERIES


def test_a_class_with_a_plus_in_its_name_and_a_rule_spelt_wrong() -> None:
    videos = make_videos(["clean+jerk", "run"])
    check_queries("clean+jerk", videos)
    assert [query.label for query in choose_examples(videos, "clean+jerk", seed=1).queries] == ["clean+jerk"]
    with pytest.raises(UserError, match="did you mean 'hardest'"):
        check_queries("Hardest", videos)
