"""Made-up embeddings of labelled videos, for which retrieval is right or wrong as asked for."""

import numpy as np

from mofore.embedding.store import Embeddings

HARD, HALF = "hard", "half"


def make_videos(labels: list[str], videos: int = 4, unlabelled: bool = False) -> Embeddings:
    """Videos of each class on both sides of the split, near a unit vector of the class, with a little noise."""
    rng = np.random.default_rng(0)
    label, split = (
        part.reshape(-1) for part in np.meshgrid(np.repeat(labels, videos), ["train", "test"], indexing="ij")
    )
    centre_CD = np.eye(len(labels))
    x_ND = centre_CD[[labels.index(name) for name in label]] + 0.05 * rng.normal(size=(len(label), len(labels)))
    video = np.array([f"{name}/{i}.avi" for i, name in enumerate(label)])
    return Embeddings(x_ND.astype(np.float32), video, np.full_like(label, "") if unlabelled else label, video, split)


def misplace(videos: Embeddings, label: str, share: float, onto: str) -> None:
    """Move a share of the test videos of `label` onto training videos of the class `onto`."""
    test = np.flatnonzero((videos.label == label) & (videos.split == "test"))
    others = np.flatnonzero((videos.label == onto) & (videos.split == "train"))
    test = test[: round(share * len(test))]
    videos.x_ND[test] = videos.x_ND[others[: len(test)]]


def ten_classes() -> Embeddings:
    """Ten classes. Retrieval is wrong for all test videos of HARD, for half of HALF, and for none of the rest."""
    videos = make_videos([HARD, HALF, *(f"easy{i}" for i in range(8))])
    misplace(videos, HARD, 1, "easy7")
    misplace(videos, HALF, 0.5, "easy7")
    return videos
