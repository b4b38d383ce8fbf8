"""Draws demo videos of articulated figures that perform fourteen actions. The files are laid out like UCF101."""
