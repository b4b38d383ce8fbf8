"""data/embeddings and results -> results/map.csv, results/overview.png: the embedding map and the overview picture."""

from pathlib import Path

from mofore.config import load_params
from mofore.embedding_map import map_videos
from mofore.embeddings import read_embeddings
from mofore.errors import run_stage
from mofore.files import write_csv
from mofore.overview import draw_overview


def main() -> None:
    params = load_params()
    results = Path("results")
    points = map_videos(read_embeddings(Path("data/embeddings"), "mofore"), params.seed)
    write_csv(results / "map.csv", points, "%.3f")

    draw_overview(results, results / "overview.png")
    print(f"plots: {len(points)} videos in results/map.csv, picture in results/overview.png")


if __name__ == "__main__":
    run_stage(main)
