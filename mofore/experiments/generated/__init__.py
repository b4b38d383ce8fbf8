"""Videos of endless variety, drawn to train the shipped encoder (see docs/shipped-encoder.md). No stage needs them.

waves -> body -> program: what happens; texture -> draw: what it looks like; packs: the files; pairs: training samples.
"""
