"""The training objective equals a slow version in plain Python."""

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from mofore.config import Params
from mofore.method import objective as objective_module
from mofore.method.losses import sigreg_loss, vicreg_loss
from mofore.method.memory_bank import MemoryBank
from mofore.method.model import Embedded
from mofore.method.objective import objective

CPU = torch.device("cpu")
D, P = 4, 5
KEYS = ["loss", "forecast_loss", "contrast_loss", "decorrelation_loss", "contrastive_accuracy"]
Rows = list[list[float]]


def embeddings(contexts: int, futures: int, reversed_: bool = True, seed: int = 0) -> Embedded:
    """Random embeddings of a batch; those that have a gradient in training have one here."""
    generator = torch.Generator().manual_seed(seed)
    n = contexts * futures
    forecast_NP, target_NP, reversed_NP = (torch.randn(n, P, generator=generator) for _ in range(3))
    features_BD, projection_BP = (torch.randn(contexts, dim, generator=generator) for dim in (D, P))
    for x in (forecast_NP, features_BD, projection_BP):
        x.requires_grad_()
    return Embedded(forecast_NP, features_BD, projection_BP, target_NP, reversed_NP if reversed_ else None)


def bank_of(size: int, seed: int = 1) -> MemoryBank:
    """A bank with `size` random targets, of groups 0 to 3."""
    generator = torch.Generator().manual_seed(seed)
    bank = MemoryBank(size, P, CPU)
    bank.enqueue(torch.randn(size, P, generator=generator), torch.randint(4, (size,), generator=generator))
    return bank


def groups(contexts: int, futures: int, seed: int = 2) -> Tensor:
    """Group of each forecast: random for each context, the same for its futures."""
    group_B = torch.randint(4, (contexts,), generator=torch.Generator().manual_seed(seed))
    return group_B.repeat_interleave(futures)


def unit(row: list[float]) -> list[float]:
    length = math.sqrt(sum(x * x for x in row))
    return [x / length for x in row]


def dot(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


def slow_forecast(forecast: Rows, target: Rows) -> float:
    pairs = [(unit(f), unit(t)) for f, t in zip(forecast, target, strict=True)]
    return sum((x - y) ** 2 for f, t in pairs for x, y in zip(f, t, strict=True)) / len(pairs)


def slow_contrast(
    forecast: Rows, candidates: Rows, is_negative: Callable[[int, int], bool], temperature: float, backwards: Rows
) -> tuple[float, float]:
    """InfoNCE and accuracy; candidate n is the positive of forecast n, row n of `backwards` is one more negative."""
    total, hits = 0.0, 0
    for n, row in enumerate(forecast):
        own = dot(unit(row), unit(candidates[n])) / temperature
        others = [
            dot(unit(row), unit(candidate)) / temperature
            for m, candidate in enumerate(candidates)
            if m != n and is_negative(n, m)
        ]
        others += [dot(unit(row), unit(reversed_row)) / temperature for reversed_row in backwards[n : n + 1]]
        total -= own - math.log(sum(math.exp(logit) for logit in (own, *others)))
        hits += all(own > logit for logit in others)
    return total / len(forecast), hits / len(forecast)


def slow_decorrelation(features: Rows) -> float:
    n, dim = len(features), len(features[0])
    mean = [sum(row[i] for row in features) / n for i in range(dim)]
    centred = [[row[i] - mean[i] for row in features] for i in range(dim)]
    total = 0.0
    for i in range(dim):
        for j in range(dim):
            if i != j:
                total += dot(unit(centred[i]), unit(centred[j])) ** 2
    return total / dim


def slow_objective(embedded: Embedded, group_N: Tensor, bank: MemoryBank, params: Params) -> dict[str, float]:
    """All values of `objective` with `contrast.loss` infonce."""
    forecast, target = embedded.forecast_NP.tolist(), embedded.target_NP.tolist()
    futures = len(forecast) // len(embedded.features_BD)
    group, in_batch = group_N.tolist() + bank.group_Q.tolist(), len(forecast)

    def is_negative(n: int, m: int) -> bool:
        if params.contrast.mask_groups:
            return bool(group[n] != group[m])
        return m >= in_batch or n // futures != m // futures

    of_contexts = [row for row in embedded.projection_BP.tolist() for _ in range(futures)]
    contrast, accuracy = slow_contrast(
        of_contexts if params.contrast.anchor == "context" else forecast,
        target + bank.target_QP.tolist(),
        is_negative,
        params.contrast.temperature,
        [] if embedded.reversed_NP is None else embedded.reversed_NP.tolist(),
    )
    terms = {
        "forecast_loss": slow_forecast(forecast, target),
        "contrast_loss": contrast,
        "decorrelation_loss": slow_decorrelation(embedded.features_BD.tolist()),
    }
    weights = params.forecast.weight, params.contrast.weight, params.decorrelation.weight
    loss = sum(weight * term for weight, term in zip(weights, terms.values(), strict=True))
    return {"loss": loss, **terms, "contrastive_accuracy": accuracy}


def values(losses: dict[str, Tensor]) -> dict[str, float]:
    return {name: value.item() for name, value in losses.items()}


@given(
    contexts=st.integers(2, 6),
    futures=st.integers(1, 3),
    in_bank=st.integers(0, 6),
    reversed_=st.booleans(),
    mask_groups=st.booleans(),
    anchor=st.sampled_from(["context", "forecast"]),
    temperature=st.floats(0.1, 2),
    weights=st.tuples(*[st.floats(0, 5)] * 3),
    seed=st.integers(0, 1000),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # each example sets all parameters that it uses
def test_the_objective_is_the_weighted_sum_of_its_definition(
    params: Params,
    contexts: int,
    futures: int,
    in_bank: int,
    reversed_: bool,
    mask_groups: bool,
    anchor: str,
    temperature: float,
    weights: tuple[float, float, float],
    seed: int,
) -> None:
    params.contrast.loss, params.contrast.mask_groups, params.contrast.temperature = "infonce", mask_groups, temperature
    params.forecast.weight, params.contrast.weight, params.decorrelation.weight = weights
    params.contrast.anchor = anchor
    embedded, bank = embeddings(contexts, futures, reversed_, seed), bank_of(in_bank, seed + 1)
    group_N = groups(contexts, futures, seed + 2)
    found = objective(embedded, group_N, bank, params)
    assert list(found) == KEYS
    assert values(found) == pytest.approx(slow_objective(embedded, group_N, bank, params), rel=1e-3, abs=1e-4)


def test_without_group_masks_only_futures_of_the_same_context_are_no_negatives(params: Params) -> None:
    """All videos are of one group. With masks, no target is a negative. Without, those of other contexts are."""
    embedded, group_N, bank = embeddings(3, 2, reversed_=False), torch.zeros(6, dtype=torch.int64), bank_of(0)
    params.contrast.mask_groups = True
    assert objective(embedded, group_N, bank, params)["contrast_loss"].item() == pytest.approx(0, abs=1e-6)
    params.contrast.mask_groups = False
    contrast, _ = slow_contrast(
        [row for row in embedded.projection_BP.tolist() for _ in range(2)],
        embedded.target_NP.tolist(),
        lambda n, m: n // 2 != m // 2,
        params.contrast.temperature,
        [],
    )
    assert objective(embedded, group_N, bank, params)["contrast_loss"].item() == pytest.approx(contrast, rel=1e-4)


@pytest.mark.parametrize(("group", "mask_groups", "is_negative"), [(7, True, True), (0, True, False), (0, False, True)])
def test_targets_in_the_bank_are_negatives_unless_they_are_of_the_same_group(
    params: Params, group: int, mask_groups: bool, is_negative: bool
) -> None:
    """Each context finds its own target, until the bank holds one that is even closer to context 0."""
    params.contrast.mask_groups = mask_groups
    embedded, group_N, bank = embeddings(3, 1, reversed_=False), torch.arange(3), bank_of(0)
    embedded = embedded._replace(target_NP=embedded.projection_BP.detach() + 0.1)
    assert objective(embedded, group_N, bank, params)["contrastive_accuracy"] == 1
    bank = MemoryBank(4, P, CPU)
    bank.enqueue(embedded.projection_BP[:1].detach(), torch.tensor([group]))
    found = values(objective(embedded, group_N, bank, params))
    assert found == pytest.approx(slow_objective(embedded, group_N, bank, params), rel=1e-4, abs=1e-6)
    assert found["contrastive_accuracy"] == pytest.approx(2 / 3 if is_negative else 1)


def test_the_objective_does_not_change_the_bank(params: Params) -> None:
    bank = bank_of(6)
    before = {name: value.clone() for name, value in bank.state().items()}
    objective(embeddings(4, 2), groups(4, 2), bank, params)
    assert all(torch.equal(value, before[name]) for name, value in bank.state().items())


@pytest.mark.parametrize(("name", "regulariser"), [("vicreg", vicreg_loss), ("sigreg", sigreg_loss)])
def test_a_regulariser_replaces_the_contrastive_loss(
    params: Params, name: str, regulariser: Callable[[Tensor], Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    embedded, group_N, bank = embeddings(6, 2), groups(6, 2), bank_of(4)
    params.contrast.loss = "infonce"
    infonce = values(objective(embedded, group_N, bank, params))

    def computed(logits_NL: Tensor) -> Tensor:
        raise AssertionError("the InfoNCE loss is computed")

    monkeypatch.setattr(objective_module, "contrastive_loss", computed)
    params.contrast.loss = name
    torch.manual_seed(0)
    found = objective(embedded, group_N, bank, params)
    torch.manual_seed(0)
    expected = regulariser(embedded.projection_BP)
    assert found["contrast_loss"].item() == pytest.approx(expected.item())
    for same in ("forecast_loss", "decorrelation_loss", "contrastive_accuracy"):
        assert found[same].item() == infonce[same]
    change = params.contrast.weight * (expected.item() - infonce["contrast_loss"])
    assert found["loss"].item() == pytest.approx(infonce["loss"] + change, rel=1e-5)


@pytest.mark.parametrize(
    ("loss", "anchor", "trained"),
    [("infonce", "forecast", False), ("infonce", "context", True), ("vicreg", "forecast", True),
     ("sigreg", "forecast", True)],
)  # fmt: skip
def test_gradients_reach_what_each_loss_compares(params: Params, loss: str, anchor: str, trained: bool) -> None:
    """Forecasts and features always get gradients; projections only as anchors and from a regulariser."""
    params.contrast.loss, params.contrast.anchor = loss, anchor
    embedded = embeddings(6, 1)
    objective(embedded, groups(6, 1), bank_of(4), params)["loss"].backward()
    for x in (embedded.forecast_NP, embedded.features_BD):
        assert x.grad is not None
        assert x.grad.isfinite().all()
        assert x.grad.any()
    assert (embedded.projection_BP.grad is not None) == trained
    assert embedded.target_NP.grad is None


def test_accuracy_has_no_gradient(params: Params) -> None:
    assert not objective(embeddings(4, 1), groups(4, 1), bank_of(0), params)["contrastive_accuracy"].requires_grad


def test_the_papers_forecasting_loss_is_the_mean_squared_error(params: Params) -> None:
    params.forecast.loss = "squared_error"
    embedded = embeddings(4, 2)
    losses = objective(embedded, groups(4, 2), bank_of(0), params)
    forecast, target = (x.tolist() for x in (embedded.forecast_NP, embedded.target_NP))
    squares = [(x - y) ** 2 for f, t in zip(forecast, target, strict=True) for x, y in zip(f, t, strict=True)]
    assert losses["forecast_loss"].item() == pytest.approx(sum(squares) / len(squares), rel=1e-5)


def test_with_the_context_as_anchor_the_contrast_does_not_see_the_forecast(params: Params) -> None:
    params.contrast.anchor = "context"
    embedded = embeddings(4, 2)
    objective(embedded, groups(4, 2), bank_of(0), params)["contrast_loss"].backward()
    assert embedded.forecast_NP.grad is None
    assert embedded.projection_BP.grad is not None


def test_streams_are_trained_side_by_side(params: Params) -> None:
    first, second = embeddings(6, 2, seed=0), embeddings(6, 2, seed=5)
    group_N, empty = groups(6, 2), bank_of(0)
    pairs = zip(first, second, strict=True)
    both = Embedded._make(torch.cat([a, b], dim=1) for a, b in pairs if a is not None and b is not None)
    found = values(objective(both, group_N, MemoryBank(0, 2 * P, CPU), params, streams=2))
    alone = [values(objective(one, group_N, empty, params)) for one in (first, second)]
    for name, value in found.items():
        assert value == pytest.approx((alone[0][name] + alone[1][name]) / 2, rel=1e-5), name
