"""Stage extract_frames: decode the videos of data/raw/videos.csv into the packed frames of data/frames."""

from mofore.config import load_params
from mofore.errors import run_stage
from mofore.frames.extract import extract_frames


def main() -> None:
    """Read params.yaml and data/raw/videos.csv, write data/frames, and print a summary."""
    print(extract_frames(load_params()))


if __name__ == "__main__":
    run_stage(main)
