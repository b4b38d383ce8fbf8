"""data/embeddings + data/frames + results -> results/map.csv, filmstrips.jpg, overview.png: the pictures of a run."""

from pathlib import Path

from mofore.config import load_params
from mofore.embedding.store import EMBEDDINGS, read_embeddings
from mofore.errors import run_stage
from mofore.frames.store import FrameStore
from mofore.report.embedding_map import map_videos
from mofore.report.filmstrips import draw_filmstrips
from mofore.report.fonts import legible
from mofore.report.overview import draw_overview
from mofore.report.queries import check_queries
from mofore.utils.files import write_csv
from mofore.utils.text import some_names


def main() -> None:
    params = load_params()
    results = Path("results")
    videos = read_embeddings(EMBEDDINGS, "mofore")
    check_queries(params.report.queries, videos)
    points = map_videos(videos, params.seed)
    write_csv(results / "map.csv", points, "%.3f")

    frames = FrameStore(Path("data/frames"))
    draw_filmstrips(videos, frames, results / "filmstrips.jpg", params.report.queries, params.seed)
    draw_overview(results, results / "overview.png")
    line = f"plots: {len(points)} videos in results/map.csv, pictures in results/overview.png and filmstrips.jpg"
    if unknown := [name for name in sorted(set(videos.label)) if legible(name) != name]:
        line += f"; no installed font has the letters of {some_names(unknown)}: pictures show their codes"
    print(line)


if __name__ == "__main__":
    run_stage(main)
