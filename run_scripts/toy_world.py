"""A toy world: three tasks with learning curves, GRPO and MT-GRPO side by side, in seconds. No verl, no model, no GPU.

    python run_scripts/toy_world.py [--steps 80] [--seed 0]

A task is a skill. A rollout is right with probability sigmoid(skill - difficulty of its prompt). A group with right and
wrong rollouts carries a gradient and, when trained on, raises the skill of its task; one that is all right or all wrong
teaches nothing. As in a real run, `mt_grpo_recipe.algorithm` decides what is generated, what is trained on and how z
moves.
"""

import argparse

import numpy as np

from mt_grpo_recipe.algorithm.controller import TaskController
from mt_grpo_recipe.algorithm.groups import judge
from mt_grpo_recipe.algorithm.settings import MTGRPOConfig
from mt_grpo_recipe.algorithm.settings.sampler import RoundsSettings
from mt_grpo_recipe.algorithm.settings.weights import FixedSettings, ImprovementAwareSettings

TASKS, SKILL_K, GAIN = ("easy", "medium", "hard"), np.array([1.0, -1.5, -4.0]), 0.015
B, N = 12, 8
METHODS = {  # as config/mt_grpo/grpo.yaml and mt_grpo.yaml set them
    "GRPO": MTGRPOConfig(weights=FixedSettings(), sampler=RoundsSettings(drop_uninformative=False, ratio=False)),
    "MT-GRPO": MTGRPOConfig(weights=ImprovementAwareSettings(), sampler=RoundsSettings()),
}
DIFFICULTY_P = np.random.default_rng(0).normal(size=2000)


def success_rate(skill, difficulty):
    return 1 / (1 + np.exp(difficulty - skill))


def train(config, steps, seed):
    """Yield for each step: z, groups of the batch that carry a gradient, accuracy, and rollouts generated so far."""
    rng, skill_K, controller = np.random.default_rng(seed), SKILL_K.copy(), TaskController(TASKS, B, config)
    for _ in range(steps):
        z_K, sampler, launch_id = controller.weights_K, controller.begin_step(), 0
        while not sampler.done:
            for task in sampler.ask():
                correct_G = rng.random(N) < success_rate(skill_K[task], rng.choice(DIFFICULTY_P))
                sampler.tell(launch_id, judge(correct_G.astype(float), correct_G, config.sampler))
                launch_id += 1
        batch = sampler.select()
        controller.observe(batch)
        gain_K = GAIN * batch.chosen_gradient_K  # what the update gains each task; it stands for I_k, too
        skill_K += gain_K
        controller.update_weights(np.where(batch.chosen_K > 0, gain_K, np.nan))
        accuracy_K = success_rate(skill_K[:, None], DIFFICULTY_P).mean(1)
        yield z_K, batch.chosen_gradient_K, accuracy_K, controller.totals()["total_rollouts"]


def main(arguments=None):
    """Print how z moves, what the batch holds, and the outcome at equal steps and at equal rollouts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=80, metavar="N", help="training steps (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of all draws (%(default)s)")
    args = parser.parse_args(arguments)
    if args.steps < 10 or args.seed < 0:
        parser.error("--steps takes 10 or more, --seed 0 or more")
    course = {method: list(train(config, args.steps, args.seed)) for method, config in METHODS.items()}
    for method, rows in course.items():
        print(f"{method}: {', '.join(TASKS)}")
        print("  step   z, %              groups with a gradient   accuracy, %         rollouts")
        for step in [1, *range(10, args.steps + 1, 10)]:
            z_K, groups_K, accuracy_K, rollouts = rows[step - 1]
            z, accuracy = ("".join(f"{100 * share:6.1f}" for share in shares) for shares in (z_K, accuracy_K))
            print(f"  {step:4d}{z}{''.join(f'{count:5d}' for count in groups_K)} of {B}   {accuracy}{rollouts:10,.0f}")
    grpo, mt_grpo = course.values()
    within = [row for row in mt_grpo if row[-1] <= grpo[-1][-1]]
    for name, (*_, accuracy_K, rollouts) in (("GRPO", grpo[-1]), ("MT-GRPO", mt_grpo[-1]), ("MT-GRPO", within[-1])):
        print(f"{name} after {rollouts:,.0f} rollouts: worst task {100 * accuracy_K.min():.1f} %")


if __name__ == "__main__":
    main()
