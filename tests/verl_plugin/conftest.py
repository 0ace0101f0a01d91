"""Rows of the queue in this process."""

import importlib.util
from pathlib import Path

import pytest

from mt_grpo_recipe.verl_plugin import queue_rows


@pytest.fixture
def rows(monkeypatch):
    """The rows that the plugin reads and writes; empty."""
    spec = importlib.util.spec_from_file_location("fake_queue", Path(__file__).with_name("fake_queue.py"))
    fake_queue = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fake_queue)
    fake = fake_queue.FakeRows()
    monkeypatch.setattr(queue_rows, "tq", fake)
    return fake
