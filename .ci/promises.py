"""After `dvc repro` of the default demo: has it learned? A guard against breakage, on whatever machine this is.

The bounds are 0.05 or more below what was measured, since the processor decides the last digits and a score's standard
error on 224 test videos is about 0.03.
"""

import json
from pathlib import Path

knn = json.loads(Path("results/knn.json").read_text())
linear = json.loads(Path("results/linear.json").read_text())
seconds = json.loads(Path("results/pretrain.json").read_text())["seconds"]
print(f"R@1 {knn['mofore']['r_at_1']:.3f}, of a random init {knn['random_init']['r_at_1']:.3f}")
print(f"linear {linear['mofore']['top1']:.3f}; pretraining took {seconds:.0f} s")

assert 0.83 <= knn["mofore"]["r_at_1"] < 1, "retrieval at 1 on the demo, which must leave room for something better"
assert knn["mofore"]["r_at_1"] >= knn["random_init"]["r_at_1"] + 0.08, "retrieval at 1 above a calibrated random init"
assert linear["mofore"]["top1"] >= 0.87, "linear accuracy on the demo"
for control in ("mofore_still", "metadata", "appearance"):  # chance is 0.07; more, and the demo gives its answers away
    assert linear[control]["top1"] <= 0.25, f"linear accuracy of {control} on the demo"
    assert knn[control]["r_at_1"] <= 0.25, f"retrieval at 1 of {control} on the demo"
