"""The command `mofore`: one module a verb, thin as the scripts of `stages/`."""
