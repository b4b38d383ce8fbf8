"""Switch params.yaml to a preset: `mofore presets ucf101 pretrain.epochs=100`.

A preset, `presets/NAME.yaml`, has values for all sections except `runtime`, which describes the machine. Hydra composes
it from the `defaults` in the file and the overrides on the command line. Only this module uses Hydra: a run reads
nothing but params.yaml. Switching replaces only the values there, so comments, order and layout stay.
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

from mofore.config import PARAMS_FILE, Params, check_params, load_params
from mofore.errors import UserError, run_stage
from mofore.experiments.runs import flatten
from mofore.utils.files import writing

PRESETS = Path("presets")
Change = tuple[str, str, str]  # key such as forecast.gap_max, old value and new value, both as text of the file


def list_presets() -> dict[str, str]:
    """The names of the presets and their descriptions, which are the first lines of their files.

    Raises:
        UserError: the working directory has no presets.
    """
    files = sorted(PRESETS.glob("*.yaml"))
    if not files:
        raise UserError(f"{PRESETS}: no presets here: run this from the project's top folder")
    return {file.stem: file.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ") for file in files}


def compose_preset(name: str, overrides: list[str]) -> DictConfig:
    """The values of a preset with overrides applied, given in Hydra's grammar (`forecast.gap_max=64`).

    Unknown keys pass, because the message of `check_params` about them is clearer.

    Raises:
        UserError: there is no such preset, it cannot be composed, or an override does not have the form key=value.
    """
    known = list_presets()
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean '{close[0]}'?" if close else f"there are {', '.join(known)}"
        raise UserError(f"{PRESETS}/{name}.yaml: no such preset - {hint}")
    try:
        with initialize_config_dir(str(PRESETS.absolute()), version_base=None):
            return compose(name, [_force_add(override) for override in overrides])
    except HydraException as error:
        what = " ".join(line for line in str(error).splitlines() if not line.startswith("See http"))
        raise UserError(f"preset {name}: {what}") from None


def _force_add(override: str) -> str:
    """The override as Hydra's `++key=value`, which also sets keys that the preset lacks, such as section `runtime`."""
    try:
        parsed = OverridesParser.create().parse_override(override)
    except HydraException:
        raise UserError(f"'{override}': not an override: write key=value, and quote special characters") from None
    if parsed.is_delete() or parsed.key_or_group.split(".")[0] == "hydra":
        raise UserError(f"'{override}': only values of {PARAMS_FILE} can be set, as key=value")
    if parsed.is_sweep_override():
        raise UserError(f"'{override}': must be one value; to try several: dvc exp run --queue -S '{override}'")
    return f"++{override.lstrip('+')}"


def preset_params(name: str, overrides: list[str], file: Path) -> Params:
    """All parameters after switching a parameter file to a preset with overrides. The file is not changed.

    Raises:
        UserError: the file, the preset or an override is invalid.
    """
    merged = OmegaConf.merge(OmegaConf.load(file), compose_preset(name, overrides))
    assert isinstance(merged, DictConfig)
    return check_params(merged, file)


def switch(name: str, overrides: list[str], file: Path) -> list[Change]:
    """Replace the values in a parameter file by those of a preset with overrides.

    Returns:
        The changes, in the order of the file.

    Raises:
        UserError: the file, the preset or an override is invalid. The file is not changed then.
    """
    before = load_params(file)
    wanted = preset_params(name, overrides, file)
    text, changes = _replace_values(file.read_bytes().decode(), flatten(asdict(before)), flatten(asdict(wanted)))
    draft = file.with_name(f"{file.name}.new")
    try:
        with writing(draft) as out:
            out.write(text.encode())
        if load_params(draft) != wanted:
            raise UserError(f"{file}: its layout cannot be edited: restore it with `git checkout {file}` and try again")
        shutil.copymode(file, draft)
        os.replace(draft, file)
    finally:
        draft.unlink(missing_ok=True)
    return changes


def _replace_values(text: str, old: dict[str, Any], new: dict[str, Any]) -> tuple[str, list[Change]]:
    """Replace values in a YAML text. A comment after a value keeps its column if the new value is short enough."""
    column, changes = _comment_column(text), []
    top = yaml.compose(text)
    assert top is not None
    for key, (start, end) in reversed(_value_spans(top).items()):  # from the end, so that earlier positions stay valid
        if old[key] == new[key]:
            continue
        value, rest = _format_value(new[key]), text[end:]
        changes.append((key, text[start:end], value))
        if re.match(r" +#", rest):
            begun = start - (text.rfind("\n", 0, start) + 1)
            value, rest = value.ljust(column - begun - 1) + " ", rest.lstrip(" ")
        text = text[:start] + value + rest
    return text, changes[::-1]


def _value_spans(node: yaml.Node, key: str = "") -> dict[str, tuple[int, int]]:
    """Start and end (exclusive) of each value in the text of nested YAML mappings, by key such as forecast.gap_max."""
    if not isinstance(node, yaml.MappingNode):
        return {key: (node.start_mark.index, node.end_mark.index)}
    found: dict[str, tuple[int, int]] = {}
    for name, value in node.value:
        found |= _value_spans(value, f"{key}.{name.value}" if key else name.value)
    return found


def _comment_column(text: str) -> int:
    """The column at which most comments after values start; 0 if there are none."""
    columns = [len(match[0]) for match in re.finditer(r"^[^#\n]*[^#\s] +(?=#)", text, re.MULTILINE)]
    return max(columns, key=columns.count, default=0)


def _format_value(value: Any) -> str:
    """Format a value as one line of YAML: small numbers like 1e-3, plain words without quotes."""
    if isinstance(value, float):
        digits, exponent = f"{value:e}".split("e")
        short = f"{digits.rstrip('0').rstrip('.')}e{int(exponent)}"
        return short if abs(value) < 0.01 and float(short) == value != 0 else repr(value)
    if isinstance(value, str) and not (re.fullmatch(r"[A-Za-z/][\w./+-]*", value) and yaml.safe_load(value) == value):
        return str(yaml.safe_dump(value, default_style='"', width=math.inf, allow_unicode=True)).removesuffix("\n")
    return "true" if value is True else "false" if value is False else str(value)


def list_or_switch(words: list[str]) -> None:
    """List the presets, or switch to one and print what changed.

    Args:
        words: empty, or the name of a preset and overrides.

    Raises:
        UserError: as `list_presets` and `switch`.
    """
    if not words:
        print("mofore presets NAME [KEY=VALUE ...] switches params.yaml to a preset:")
        for name, about in list_presets().items():
            print(f"  {name:14}{about}")
        return
    name, *overrides = words
    changes = switch(name, overrides, Path(PARAMS_FILE))
    for key, old, new in changes:
        print(f"{key}: {old} -> {new}")
    print(f"{PARAMS_FILE}: {f'{len(changes)} changed' if changes else 'nothing changed'}")


def main() -> None:
    """Run `list_or_switch` with the words of the command line."""
    list_or_switch(sys.argv[1:])


if __name__ == "__main__":
    run_stage(main)
