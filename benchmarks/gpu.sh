#!/usr/bin/env bash
# All checks that need a GPU, in one go, in about ten minutes: numbers, resuming, compilation, loader, speed.
# Run it from the project's top folder after `pip install -e '.[test]'`. Keep the output with the name of the card.
set -euo pipefail
mofore doctor
pytest -q -n 0 tests/gpu
test -e data/model/encoder.safetensors || dvc repro pretrain
python benchmarks/pretrain.py --seconds 0
python benchmarks/embed.py
