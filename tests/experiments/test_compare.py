"""Comparing a change on training sides: what is queued, which runs are found, and what the command prints."""

from dataclasses import asdict
from pathlib import Path

import pandas as pd
import pytest
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from mofore.config import Params, load_params
from mofore.embedding.store import Embeddings, write_embeddings
from mofore.errors import UserError
from mofore.experiments import compare
from mofore.experiments.compare import AFTER_EMBED, OF_THE_SETS, Key, Wanted, found, main, plan, queue
from mofore.experiments.runs import COMMIT, Run, flatten
from tests.experiments.test_compare_scores import table_of, videos

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    params = (ROOT / "params.yaml").read_text(encoding="utf-8").replace("workers: -1", "workers: 1")
    (tmp_path / "params.yaml").write_text(params, encoding="utf-8")
    (tmp_path / "fights").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    commands: list[tuple[str, ...]] = []
    monkeypatch.setattr(compare, "dvc", lambda *arguments: commands.append(arguments))
    return commands


def run(wanted: Wanted, state: str = "success", rev: str = "") -> Run:
    """A run with these parameters, on a machine with other settings."""
    params = flatten(asdict(wanted.params)) | {"runtime.workers": 7}
    return Run("any", params, {}, state, rev)


def test_each_set_and_seed_has_two_runs_which_differ_in_the_change(project: Path) -> None:
    wanted = plan(["demo", "fights"], [1, 2], ["embed.spread=0"])
    assert len(wanted) == 8
    assert wanted[Key("demo", "params.yaml", 2)].overrides == ["seed=2", "data.source=demo"]
    changed = wanted[Key("fights", "changed", 1)]
    assert changed.overrides == ["seed=1", "data.source=folder", f"data.path='{project}/fights'", "embed.spread=0"]
    assert (changed.params.seed, changed.params.data.path, changed.params.embed.spread) == (1, f"{project}/fights", 0)


@pytest.mark.parametrize("name", ["武术 (2)", "a, b=c&d[1]", "it's"])
def test_a_path_with_signs_reaches_dvc_as_it_is(name: str, project: Path) -> None:
    (project / name).mkdir()
    wanted = plan([name], [1], ["embed.spread=0"])[Key(name, "params.yaml", 1)]
    parsed = OverridesParser.create().parse_override(wanted.overrides[2])
    assert not parsed.is_sweep_override()
    assert parsed.value() == wanted.params.data.path == str(project / name)


@pytest.mark.parametrize(
    ("sets", "change", "message"),
    [
        (["nowhere"], ["embed.spread=0"], "nowhere: no such folder"),
        (["demo"], ["embed.spred=0"], "unknown key 'embed.spred'"),
        (["demo"], ["embed.spread=2"], "embed.spread is 2"),
        (["demo"], ["embed.spread=0.7"], "embed.spread=0.7: params.yaml has these values already"),
        (["demo"], ["temporal.bins=5"], "temporal.bins=5: no embedding depends on section temporal"),
        (["demo"], ["data.path=x"], "data.path=x: the sets and seeds are not part of a change: give --set"),
        (["demo"], ["seed=2"], "seed=2: the sets and seeds are not part of a change"),
    ],
)
def test_a_wrong_set_or_parameter_is_an_error(sets: list[str], change: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        plan(sets, [1], change)


def test_a_change_may_be_of_the_sections_on_which_embeddings_depend() -> None:
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    before = ("download", "extract_frames", "manifest", "pretrain", "embed")
    read = {key.partition(".")[0] for stage in before for key in stages[stage]["params"]}
    assert read - set(OF_THE_SETS) == set(OmegaConf.load("params.yaml")) - set(AFTER_EMBED) - set(OF_THE_SETS)


def test_runs_are_found_by_their_parameters_but_for_the_machine() -> None:
    before, after = plan(["demo"], [1], ["embed.spread=0"]).values()
    other = plan(["demo"], [1], ["embed.spread=0.5"])[Key("demo", "changed", 1)]
    experiments = [run(before), run(other), run(after, "failed")]
    assert found(before.params, experiments) is experiments[0]
    assert found(after.params, experiments) is None
    experiments.append(run(after))
    assert found(after.params, experiments) is experiments[3]


def test_the_current_commit_is_no_run_as_its_embeddings_may_be_of_older_code() -> None:
    before, _ = plan(["demo"], [1], ["embed.spread=0"]).values()
    assert found(before.params, [run(before, COMMIT)]) is None


def test_only_missing_runs_are_queued_and_only_up_to_embed(
    called: list[tuple[str, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = plan(["demo"], [1, 2], ["embed.spread=0"])
    done, waiting, *_ = wanted.values()
    queue(wanted, [run(done), run(waiting, "queued")])
    assert called == [
        ("exp", "run", "--queue", "-S", "seed=2", "-S", "data.source=demo", "embed"),
        ("exp", "run", "--queue", "-S", "seed=2", "-S", "data.source=demo", "-S", "embed.spread=0", "embed"),
    ]
    out = capsys.readouterr().out
    assert "demo, params.yaml, seed 1: already run" in out
    assert "2 runs queued" in out


def test_a_set_that_is_named_twice_is_queued_once(called: list[tuple[str, ...]]) -> None:
    queue(plan(["fights", "fights/"], [1], ["embed.spread=0"]), [])
    assert len(called) == 2


def test_a_table_is_printed_for_each_set_even_of_the_same_name(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "other/fights").mkdir(parents=True)
    wanted = plan(["fights", "other/fights"], [1], ["embed.spread=0"])
    runs = [run(each, rev=key.variant) for key, each in wanted.items()]
    monkeypatch.setattr(compare, "read_experiments", lambda: runs)

    def get(*arguments: str) -> None:
        row = videos(0.0)
        row.x_ND[:] = arguments[4] == "params.yaml"
        write_embeddings(Path(arguments[-1]), table_of(row), row.x_ND)

    def hits(row: Embeddings, _: Params) -> pd.DataFrame:
        return pd.DataFrame({"video": row.video, "group": row.group, "linear": row.x_ND[:, 0], "r_at_1": 1.0})

    monkeypatch.setattr(compare, "dvc", get)
    monkeypatch.setattr(compare, "training_hits", hits)
    compare.queue_or_compare(["embed.spread=0"], ["fights", "other/fights"], [1])
    _, *lines, last = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines] == [
        *(["fights", "linear"], ["fights", "r_at_1"]),
        *(["other/fights", "linear"], ["other/fights", "r_at_1"]),
    ]
    assert [float(line.split()[4]) for line in lines] == [-1, 0, -1, 0], "the difference is that of the two runs"
    assert last.endswith("seeds 1")


@pytest.mark.parametrize(
    "words",
    [
        ["--set", "demo", "--set", "fights", "--seed", "1", "--seed", "2"],
        ["--sets", "demo", "fights", "--seeds", "1", "2"],  # an older form
    ],
)
def test_all_sets_and_seeds_are_taken(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    got: list[object] = []
    monkeypatch.setattr(compare, "queue_or_compare", lambda *taken: got.append(taken))
    monkeypatch.setattr("sys.argv", ["compare", "queue", "embed.spread=0", *words])
    main()
    assert got == [(["queue", "embed.spread=0"], ["demo", "fights"], [1, 2], False)]


@pytest.mark.parametrize("words", [["embed.spread=0"], ["embed.spread"], ["queue"]])
def test_a_missing_run_or_a_wrong_word_is_an_error(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compare, "read_experiments", list)
    monkeypatch.setattr("sys.argv", ["compare", *words])
    with pytest.raises(UserError, match="no such finished run of this" if "=" in words[0] else "as KEY=VALUE"):
        main()


def test_params_are_those_of_the_project() -> None:
    assert asdict(load_params())["embed"]["spread"] > 0, "or embed.spread=0 would change nothing here"
