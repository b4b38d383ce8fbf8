"""Switch params.yaml to a preset: `python -m mofore.experiments.presets ucf101 pretrain.epochs=100`.

A preset, `presets/NAME.yaml`, is a whole set of values, all sections but `runtime`, which is of the machine. Hydra
composes it (`defaults` in the file, overrides on the command line), here and in no other place: what a run uses is what
stands in params.yaml. There only the values are replaced, so comments, order and layout stay.
"""

import difflib
import math
import os
import re
import shutil
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from mofore.config import PARAMS_FILE, check_params, load_params
from mofore.errors import UserError, run_stage
from mofore.utils.files import writing

PRESETS = Path("presets")
Key = tuple[str, ...]
Change = tuple[str, str, str]  # key, old and new value as they stand in the file


def presets() -> dict[str, str]:
    """The presets by name, with the first line of their files' comments.

    Raises:
        UserError: there are none here.
    """
    files = sorted(PRESETS.glob("*.yaml"))
    if not files:
        raise UserError(f"{PRESETS}: no presets here: run this from the project's top folder")
    return {file.stem: file.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ") for file in files}


def compose_preset(name: str, overrides: list[str]) -> DictConfig:
    """The values of a preset after overrides in Hydra's grammar (`forecast.gap_max=64`).

    Raises:
        UserError: there is no such preset, or an override is not of the form key=value. Unknown keys are let through:
            `check_params` names them better.
    """
    known = presets()
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean '{close[0]}'?" if close else f"there are {', '.join(known)}"
        raise UserError(f"{PRESETS}/{name}.yaml: no such preset - {hint}")
    try:
        with initialize_config_dir(str(PRESETS.absolute()), version_base=None):
            return compose(name, [_forced(override) for override in overrides])
    except HydraException as error:
        what = " ".join(line for line in str(error).splitlines() if not line.startswith("See http"))
        raise UserError(f"preset {name}: {what}") from None


def _forced(override: str) -> str:
    """The override in Hydra's form for keys that the preset does not have, such as those of section runtime."""
    try:
        parsed = OverridesParser.create().parse_override(override)
    except HydraException:
        raise UserError(f"'{override}': not an override: write key=value, with quotes around special signs") from None
    if parsed.is_delete() or parsed.key_or_group.split(".")[0] == "hydra":
        raise UserError(f"'{override}': only values of {PARAMS_FILE} can be set, as key=value")
    if parsed.is_sweep_override():
        raise UserError(f"'{override}': must be one value; to try several: dvc exp run --queue -S '{override}'")
    return f"++{override.lstrip('+')}"


def switch(name: str, overrides: list[str], file: Path) -> list[Change]:
    """Replace the values in a parameter file by those of a preset.

    Returns:
        What changed, in the file's order.

    Raises:
        UserError: the file or the result is wrong. Then the file is as it was.
    """
    before = load_params(file)
    merged = OmegaConf.merge(OmegaConf.load(file), compose_preset(name, overrides))
    assert isinstance(merged, DictConfig)
    wanted = check_params(merged, file)
    text, changes = _replace(file.read_bytes().decode(), _flat(asdict(before)), _flat(asdict(wanted)))
    draft = file.with_name(f"{file.name}.new")
    try:
        with writing(draft) as out:
            out.write(text.encode())
        if load_params(draft) != wanted:
            raise UserError(f"{file}: cannot be edited as it is laid out: take the version in git, and try again")
        shutil.copymode(file, draft)
        os.replace(draft, file)
    finally:
        draft.unlink(missing_ok=True)
    return changes


def _flat(section: dict[str, Any], above: Key = ()) -> dict[Key, Any]:
    found: dict[Key, Any] = {}
    for name, value in section.items():
        found |= _flat(value, (*above, name)) if isinstance(value, dict) else {(*above, name): value}
    return found


def _replace(text: str, old: dict[Key, Any], new: dict[Key, Any]) -> tuple[str, list[Change]]:
    """Put new values in their places in a YAML text; comments keep their column where the value leaves room."""
    column, changes = _comment_column(text), []
    top = yaml.compose(text)
    assert top is not None
    for key, (start, end) in reversed(_places(top).items()):  # from the end, so that places hold
        if old[key] == new[key]:
            continue
        value, rest = _scalar(new[key]), text[end:]
        changes.append((".".join(key), text[start:end], value))
        if re.match(r" +#", rest):
            begun = start - (text.rfind("\n", 0, start) + 1)
            value, rest = value.ljust(column - begun - 1) + " ", rest.lstrip(" ")
        text = text[:start] + value + rest
    return text, changes[::-1]


def _places(node: yaml.Node, above: Key = ()) -> dict[Key, tuple[int, int]]:
    """Where in its text each value of a tree of maps stands: its first character, and the one behind its last."""
    if not isinstance(node, yaml.MappingNode):
        return {above: (node.start_mark.index, node.end_mark.index)}
    found: dict[Key, tuple[int, int]] = {}
    for key, value in node.value:
        found |= _places(value, (*above, key.value))
    return found


def _comment_column(text: str) -> int:
    """The column at which most comments behind values start; 0 if there are none."""
    columns = [len(match[0]) for match in re.finditer(r"^[^#\n]*[^#\s] +(?=#)", text, re.MULTILINE)]
    return max(columns, key=columns.count, default=0)


def _scalar(value: Any) -> str:
    """A value as YAML on one line: numbers below 0.01 as 1e-3, words without quotes."""
    if isinstance(value, float):
        digits, exponent = f"{value:e}".split("e")
        short = f"{digits.rstrip('0').rstrip('.')}e{int(exponent)}"
        return short if abs(value) < 0.01 and float(short) == value != 0 else repr(value)
    if isinstance(value, str) and not (re.fullmatch(r"[A-Za-z/][\w./+-]*", value) and yaml.safe_load(value) == value):
        return str(yaml.safe_dump(value, default_style='"', width=math.inf, allow_unicode=True)).removesuffix("\n")
    return "true" if value is True else "false" if value is False else str(value)


def main() -> None:
    """The command: without arguments list the presets, else switch to one and print what changed."""
    if len(sys.argv) == 1:
        print("python -m mofore.experiments.presets NAME [KEY=VALUE ...] switches params.yaml to a preset:")
        for name, about in presets().items():
            print(f"  {name:14}{about}")
        return
    name, *overrides = sys.argv[1:]
    changes = switch(name, overrides, Path(PARAMS_FILE))
    for key, old, new in changes:
        print(f"{key}: {old} -> {new}")
    print(f"{PARAMS_FILE}: {f'{len(changes)} changed' if changes else 'nothing changed'}")


if __name__ == "__main__":
    run_stage(main)
