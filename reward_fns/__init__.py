"""Rewards of the tasks: one file per task, a registry, and `compute_score`, the function verl calls.

Tell verl 0.9.1 to use it:

    reward.custom_reward_function.path=pkg://reward_fns
    reward.custom_reward_function.name=compute_score
    +reward.custom_reward_function.reward_kwargs.<option>=<value>     # optional, reaches the task as <option>=<value>

verl calls it as `compute_score(data_source=, solution_str=, ground_truth=, extra_info=, **reward_kwargs)`, in a thread
of a reward worker, with the decoded response, less prompt and special tokens. `score` becomes the reward of the last
token; all keys, `acc` and `format` among them, go on as `reward_extra_info`, from which validation and the sampler take
`acc`. (`reward.reward_kwargs`, without `custom_reward_function`, is another setting: the length penalty of the `dapo`
reward manager. It is not passed on to here.)

README.md in this directory shows which file does what, and how to add a task.
"""

from reward_fns.registry import known_tasks, register
from reward_fns.scoring.compute_score import compute_score
from reward_fns.scoring.extraction import extract_answer

__all__ = ["compute_score", "extract_answer", "known_tasks", "register"]
