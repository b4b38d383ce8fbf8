"""data/raw + data/frames/packs -> data/frames/videos.csv: join the outcome of decoding with label, group and split."""

from mofore.config import load_params
from mofore.errors import run_stage
from mofore.frames.manifest import write_manifest


def main() -> None:
    """Read params.yaml, write data/frames/videos.csv and grouped_split.csv, print the sizes of the splits."""
    print(write_manifest(load_params()))


if __name__ == "__main__":
    run_stage(main)
