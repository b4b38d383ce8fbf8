"""The same embeddings on the source's split: the scores show what a leaky split is worth."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mofore.config import Params
from mofore.embedding.store import Embeddings
from mofore.evaluation import knn, linear
from mofore.evaluation.grouped_split import divided_groups, grouped_scores, with_grouped_split


@pytest.fixture
def leaky(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Embeddings:
    """Ten recordings of six videos; an embedding knows the recording and nothing of the class.

    The last video of each recording is for testing. By their source, the last three recordings are.
    """
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    recording = np.repeat(np.arange(10), 6)
    x_ND = rng.normal(size=(10, 8))[recording] + 0.01 * rng.normal(size=(60, 8))
    video = np.array([f"{number}.avi" for number in range(60)])
    label = np.where(recording % 2, "a", "b")
    split = np.where(np.arange(60) % 6 == 5, "test", "train")
    source = {"video": video, "group": recording.astype(str), "split": np.where(recording > 6, "test", "train")}
    Path("data/frames").mkdir(parents=True)
    pd.DataFrame(source).sample(frac=1, random_state=0).to_csv("data/frames/grouped_split.csv", index=False)
    return Embeddings(x_ND.astype(np.float32), video, label, video, split)


def test_groups_and_split_of_the_source_are_joined_by_name(leaky: Embeddings) -> None:
    grouped = with_grouped_split(leaky)
    assert grouped is not None
    assert grouped.group.tolist() == np.repeat(np.arange(10), 6).astype(str).tolist()
    assert (grouped.split == "test").sum() == 18
    assert (grouped.x_ND == leaky.x_ND).all()
    assert divided_groups(leaky, grouped) == 10
    assert divided_groups(grouped, grouped) == 0


def test_nothing_is_scored_twice_where_the_splits_are_the_same(leaky: Embeddings) -> None:
    pd.DataFrame({"video": leaky.video, "group": leaky.group, "split": leaky.split}).to_csv(
        "data/frames/grouped_split.csv", index=False
    )
    assert with_grouped_split(leaky) is None
    assert grouped_scores(leaky, lambda test, train: {}, "r_at_1") == {}


def test_a_leak_shows_in_the_scores(leaky: Embeddings, params: Params) -> None:
    """Recordings are found, so the leaky split is perfect; classes are not, so the grouped one is chance."""

    def by_knn(test: Embeddings, train: Embeddings) -> dict[str, float]:
        return knn.evaluate_knn(test, train, params.knn).scores

    def by_linear(test: Embeddings, train: Embeddings) -> dict[str, float]:
        return linear.evaluate_linear(test, train, 0.25, 0).scores

    found = grouped_scores(leaky, by_knn, "r_at_1")
    assert by_knn(leaky.labelled("test"), leaky.labelled("train"))["r_at_1"] == 1
    assert list(found) == ["grouped_r_at_1", "grouped_r_at_1_low", "grouped_r_at_1_high"]
    assert found["grouped_r_at_1_low"] <= found["grouped_r_at_1"] < 1
    scores = grouped_scores(leaky, by_linear, "top1")
    assert by_linear(leaky.labelled("test"), leaky.labelled("train"))["top1"] == 1
    assert scores["grouped_top1"] < 1


def test_without_labels_there_is_nothing_to_score(leaky: Embeddings) -> None:
    leaky.label[:] = ""
    assert grouped_scores(leaky, lambda test, train: {"top1": 1.0}, "top1") == {}
