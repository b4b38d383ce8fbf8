#!/usr/bin/env bash
# All checks that need a GPU, in one go, in about ten minutes: numbers, resuming, compilation, loader, speed.
# Run it from the project's top folder after `pip install -e '.[test]'`. Keep the output with the name of the card.
set -uo pipefail
failed=()
check() { # run a command; a failure does not stop the others
    "$@" || failed+=("$*")
}
check mofore doctor
check pytest -q -n 0 tests/gpu
test -e data/model/encoder.safetensors || check dvc repro pretrain
check python benchmarks/pretrain.py --seconds 0
check python benchmarks/embed.py
for command in "${failed[@]}"; do echo "failed: $command"; done
exit $((${#failed[@]} > 0))
