"""Demo videos: articulated figures performing fourteen actions, drawn here and laid out like UCF101."""
