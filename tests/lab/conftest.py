"""Give the tests of the laboratory a model and puzzles."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from data_prep.prepare import Contents, prepare

RUN_SCRIPTS = Path(__file__).resolve().parents[2] / "run_scripts"
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
    prepare(Contents(dict.fromkeys(("countdown-mini", "arc-mini", "zebra-mini"), 20), test=4, seed=0), folder)
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
