"""Monitors a run between its steps: progress, collapse warnings, checkpoints, stop signals and non-finite values."""

import math
import signal
from collections.abc import Iterable, Iterator
from typing import NoReturn

from mofore.clips.dataset import Sample
from mofore.embedding.geometry import collapse
from mofore.errors import StoppedError, UserError
from mofore.runtime.device import uses_bf16
from mofore.runtime.signals import StopSignals
from mofore.training.checkpoint import Checkpoint
from mofore.training.state import TrainingRun, clips_per_step
from mofore.utils.progress import tell

MIN_SAMPLES = 64  # with fewer embeddings the diagnostics are unreliable, and no collapse is reported


class Monitor:
    """Checks, reports and saves a run between its steps."""

    def __init__(self, run: TrainingRun, steps: int, checkpoint: Checkpoint | None) -> None:
        """`steps`: number of steps of the whole run. Without `checkpoint` nothing is saved."""
        self.run, self.steps, self.checkpoint = run, steps, checkpoint
        self.warned = False
        self._resumed_at = run.step, run.seconds

    def until_stopped(self, batches: Iterable[Sample], signals: StopSignals) -> Iterator[Sample]:
        """Yield the batches until any process receives a stop signal or loses its launcher. Then save the run.

        Raises:
            StoppedError: the run was stopped.
        """
        processes, batches = self.run.train_state.processes, iter(batches)
        while True:
            batch = next(batches, None)
            if batch is None:
                return
            if processes.any(signals.received is not None or processes.launcher_gone):
                self._stop(signals.received)
            yield batch

    def _stop(self, number: signal.Signals | None) -> NoReturn:
        saved = self.save()
        number = number or signal.SIGTERM
        self.run.train_state.processes.any(False)  # a launcher may kill the others once one has ended
        state = "saved, run the same command to resume" if saved else f"not saved, {self._last_checkpoint()}"
        message = f"pretrain: stopped by {number.name} after step {self.run.step} of {self.steps}: {state}"
        raise StoppedError(message if self.run.train_state.processes.is_main else "", number)

    def _last_checkpoint(self) -> str:
        return self.checkpoint.describe() if self.checkpoint else "checkpoints are off"

    def check_loss(self) -> None:
        """Check the loss of the last logged step. This waits for a GPU to finish the step.

        Raises:
            UserError: the loss is not finite.
        """
        if not math.isfinite(loss := self.run.log.loss):
            self._raise_diverged(f"the loss is {loss}")

    def check_weights(self) -> None:
        """Check weights and running statistics at the end of the run.

        Raises:
            UserError: some are not finite.
        """
        if not self._finite_weights():
            self._raise_diverged("weights are not finite")

    def _raise_diverged(self, what: str) -> NoReturn:
        run, p = self.run, self.run.params
        if not run.train_state.processes.is_main:
            run.train_state.processes.exit_silently()  # all ranks have the same error; rank 0 reports it
        causes = [f"pretrain.lr {p.pretrain.lr:g} is too high", f"pretrain.warmup {p.pretrain.warmup:g} too short"]
        if p.contrast.weight and p.contrast.temperature < 0.05:
            causes.append(f"contrast.temperature {p.contrast.temperature:g} too low")
        if uses_bf16(p.runtime, next(run.train_state.model.parameters()).device):
            causes.append("bf16 too coarse (try runtime.precision fp32)")
        where = f"after step {run.step} of {self.steps}"
        raise UserError(f"pretrain: {what} {where}: likely {', or '.join(causes)}; {self._last_checkpoint()}")

    def progress_line(self) -> dict[str, str]:
        """Loss, collapse diagnostics and speed for the progress bar. Prints a warning at the first collapse."""
        run, health = self.run, self.run.log.health()
        reason = collapse(health["effective_rank"], health["spread"])
        if reason and not self.warned and run.log.samples >= MIN_SAMPLES:
            self.warned = True
            tell(
                f"warning: pretrain: the embeddings have collapsed after step {run.step} of {self.steps} ({reason}): "
                "raise contrast.weight or decorrelation.weight, or lower pretrain.lr"
            )
        steps, seconds = run.step - self._resumed_at[0], run.seconds - self._resumed_at[1]
        return {
            "loss": f"{run.log.loss:.3f}",
            "rank": f"{health['effective_rank']:.1f}",
            "spread": f"{health['spread']:.2f}",
            # `seconds` does not include the step that is being taken.
            "clips/s": f"{clips_per_step(run.params) * (steps - 1) / max(seconds, 1e-9):.0f}",
            "data wait": f"{run.waited / max(run.seconds, 1e-9):.1%}",
        }

    def save(self) -> bool:
        """Save a checkpoint on rank 0 if loss and weights are finite; returns whether it was saved."""
        if not self.checkpoint or not self.run.train_state.processes.is_main:
            return False
        finite = math.isfinite(self.run.log.loss) and self._finite_weights()  # else the next check raises
        return finite and self.checkpoint.save(self.run.state())

    def _finite_weights(self) -> bool:
        return all(bool(values.isfinite().all()) for values in self.run.train_state.model.state_dict().values())
