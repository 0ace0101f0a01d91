"""How long a run lasts: no epochs, and an early end once all is met."""

from __future__ import annotations

import logging

from omegaconf import DictConfig

from mt_grpo_recipe.algorithm.controller import TaskController

logger = logging.getLogger(__name__)


def steps_of_the_run(config: DictConfig, rows: int) -> int:
    """How many steps a run has, with a line in the log where its length was given in epochs.

    Args:
        config: verl's whole training config.
        rows: of the tasks that are trained; verl counts those of all tasks in the data.
    """
    trainer = config.trainer
    if trainer.total_training_steps is not None:
        return trainer.total_training_steps
    steps = rows // config.data.train_batch_size * trainer.total_epochs
    logger.warning(
        "trainer.total_epochs=%s is taken as %d steps (%d rows of the trained tasks / batch size), since a task "
        "sampler has no epochs. Set trainer.total_training_steps to say how long to train.",
        trainer.total_epochs,
        steps,
        rows,
    )
    return steps


class EarlyEnd:
    """Ends the run one step after the step in which all is met.

    By the time z moves, verl has already decided whether the step is the last. After its last step it saves a
    checkpoint and validates.
    """

    def __init__(self) -> None:
        self._last_step: int | None = None

    def check(self, step: int, total_steps: int, controller: TaskController) -> int:
        """How many steps the run has, now that `step` has moved the weights.

        Args:
            step: the training step.
            total_steps: how many it had so far.
            controller: has updated the weights.
        """
        if self._last_step is None and controller.finished and step < total_steps:
            self._last_step = step + 1
            logger.warning(
                "Step %d: all that mt_grpo.weights asks for is met. The run ends with the checkpoint of step %d.",
                step,
                self._last_step,
            )
        return total_steps if self._last_step is None else min(total_steps, self._last_step)

    def state(self) -> int | None:
        """The step after which the run ends early; None if it does not."""
        return self._last_step

    def load(self, last_step: int | None, total_steps: int, controller: TaskController) -> int:
        """Restore what `state` gave, unless more is asked for now, and return how many steps the run has.

        Args:
            last_step: what `state` gave.
            total_steps: how many steps the run has otherwise.
            controller: has loaded its state.
        """
        self._last_step = last_step if controller.finished else None
        return total_steps if self._last_step is None else min(total_steps, self._last_step)
