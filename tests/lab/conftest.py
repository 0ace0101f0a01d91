"""Make the laboratory's modules importable, and give its tests a model and puzzles."""

import sys
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from data_prep.prepare import prepare

RUN_SCRIPTS = Path(__file__).resolve().parents[2] / "run_scripts"
sys.path.insert(0, str(RUN_SCRIPTS / "lab"))
WARM_MODEL = RUN_SCRIPTS / "mini" / "warm_model"


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """A folder with a few puzzles of the miniature's tasks."""
    folder = tmp_path_factory.mktemp("data")
    prepare(dict.fromkeys(("countdown-mini", "arc-mini", "zebra-mini"), 20), folder, test=4, seed=0)
    return folder


@pytest.fixture(scope="session")
def tokenizer():
    return AutoTokenizer.from_pretrained(WARM_MODEL)


@pytest.fixture
def model():
    return AutoModelForCausalLM.from_pretrained(WARM_MODEL, dtype=torch.float32)


@pytest.fixture
def puzzles(data, tokenizer):
    from puzzles import read_puzzles

    return read_puzzles(data / "train.parquet", tokenizer)
