"""dvc.yaml lists exactly what each stage depends on: the code it imports and the params it reads."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
TOP = ROOT / "mofore" / "__init__.py"  # imports only for `mofore.embed`, which no stage uses
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
DATA_STAGES = ["download", "extract_frames", "manifest", "pretrain", "embed", "controls", "supervised"]
NAMES = [*DATA_STAGES, "linear", "knn", "temporal", "forecast", "paper", "structure", "plots", "report"]


def imported_files(script: Path) -> set[str]:
    """Return the project's files that a script imports, directly or indirectly, and the script itself."""
    found: set[Path] = set()
    todo = [script]
    while todo:
        file = todo.pop()
        if file in found:
            continue
        found.add(file)
        if file == TOP:
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{file}: relative import: use an absolute one"
                names = [f"{node.module}.{alias.name}" for alias in node.names] + [node.module or ""]
            todo += [path for name in names for path in module_files(name)]
    return {path.relative_to(ROOT).as_posix() for path in found}


def module_files(name: str) -> list[Path]:
    """Return the files that importing a name executes: its module and the packages above it."""
    parts = name.split(".")
    if parts[0] != "mofore":
        return []
    packages = [ROOT.joinpath(*parts[: i + 1], "__init__.py") for i in range(len(parts))]
    return [path for path in [*packages, ROOT.joinpath(*parts).with_suffix(".py")] if path.exists()]


def code_deps(stage: str) -> list[str]:
    """Return the deps of a stage that are code: single files, and packages of mofore/."""
    return [dep for dep in STAGES[stage]["deps"] if dep.startswith(("mofore/", "stages/"))]


def covers(dep: str, file: str) -> bool:
    return dep == file or file.startswith(f"{dep}/")


def test_the_stages_are_those_of_the_design() -> None:
    assert list(STAGES) == NAMES
    for name, stage in STAGES.items():
        assert stage["cmd"] == f"python stages/{name}.py"
        assert stage["desc"]


@pytest.mark.parametrize("stage", NAMES)
def test_code_deps_are_the_import_closure(stage: str) -> None:
    """Each imported file is a dep or is inside one. Each dep is an imported file or contains one."""
    deps, imported = code_deps(stage), imported_files(ROOT / "stages" / f"{stage}.py")
    assert len(deps) == len(set(deps))
    assert [file for file in imported if not any(covers(dep, file) for dep in deps)] == []
    assert [dep for dep in deps if not any(covers(dep, file) for file in imported)] == []
    directories = [dep for dep in deps if not dep.endswith(".py")]
    assert all((ROOT / dep / "__init__.py").exists() for dep in directories)
    assert [Path(dep).parent for dep in directories] == [Path("mofore")] * len(directories), (
        "deps must be whole packages"
    )


def test_the_closure_includes_indirect_imports() -> None:
    imported = imported_files(ROOT / "stages" / "pretrain.py")
    assert {"mofore/method/objective.py", "mofore/clips/augment.py", "mofore/utils/files.py"} <= imported


@pytest.mark.parametrize("stage", DATA_STAGES)
def test_changes_in_evaluation_report_or_experiments_never_retrain(stage: str) -> None:
    later = {f"mofore/{package}" for package in ("evaluation", "report", "collection", "experiments", "cli")}
    if stage != "controls":  # its features are computed by mofore/evaluation
        assert not later & set(code_deps(stage))


@pytest.mark.parametrize("stage", NAMES)
def test_every_param_that_is_read_is_listed(stage: str) -> None:
    files = imported_files(ROOT / "stages" / f"{stage}.py")
    read = {name for file in files for name in re.findall(r"\bparams\.(\w+)", (ROOT / file).read_text())}
    read -= {"yaml", "runtime"}
    listed = {entry.split(".")[0] for entry in STAGES[stage].get("params", [])}
    assert read <= listed, "a param that is read but not listed does not re-run the stage"
    assert "runtime" not in listed, "device and workers must not change results"


def test_every_package_init_is_free_of_imports() -> None:
    for init in (ROOT / "mofore").rglob("__init__.py"):
        tree = ast.parse(init.read_text())
        assert init == TOP or not [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)], (
            init
        )


def test_the_library_is_not_imported_with_the_package() -> None:
    code = "import mofore, sys; assert not [name for name in sys.modules if name.startswith('mofore.')]"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
    for stage in (ROOT / "stages").glob("*.py"):
        assert "mofore.embed(" not in stage.read_text()


def test_results_are_in_git_and_data_is_not() -> None:
    """Except the page and the JSON files: as metrics these would flood `dvc exp show`, so DVC's cache stores them."""
    cached = []
    for stage in STAGES.values():
        for kind in ("metrics", "plots"):
            for entry in stage.get(kind, []):
                ((path, settings),) = entry.items()
                assert path.startswith("results/")
                assert settings["cache"] is False
        for out in stage.get("outs", []):
            assert isinstance(out, str)
            cached += [] if out.startswith("data/") else [out]
    names = ("pretrain", "linear", "knn", "temporal", "forecast", "paper", "structure")
    assert cached == [*(f"results/{name}.json" for name in names), "results/report.html"]


def test_the_only_metrics_are_the_headline_scores() -> None:
    """Each metric becomes a column of `dvc exp show`."""
    assert [stage for stage in STAGES if "metrics" in STAGES[stage]] == ["report"]
    assert [list(entry) for entry in STAGES["report"]["metrics"]] == [["results/metrics.json"]]
