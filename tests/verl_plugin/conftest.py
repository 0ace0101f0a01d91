"""Rows of the queue in this process."""

import fake_queue
import pytest

from mt_grpo_recipe.verl_plugin import queue_rows


@pytest.fixture
def rows(monkeypatch):
    """The rows that the plugin reads and writes; empty."""
    fake = fake_queue.FakeRows()
    monkeypatch.setattr(queue_rows, "tq", fake)
    return fake
