"""A TransferQueue in one process, and a rollout that answers with rewards from a table."""

import itertools
import types

import torch
from tensordict import TensorDict
from transfer_queue import KVBatchMeta

MISSING = object()


class FakeRollout:
    """Launched groups end one poll later, newest first, as `outcome(task, number)` says.

    `outcome` returns a list of (reward, acc), one per rollout, acc `MISSING` where the reward function named none; or
    None for a failed group, or "running" for one that has not ended by this poll.
    """

    def __init__(self, outcome):
        self.outcome = outcome
        self.items = {}
        self.fields = {}
        self.launched = []
        self.cleared = set()
        self.aborted = []
        self.step = 1
        self.validation = {}
        self.error = None
        self.outputs_of = {}
        """Session -> number of its outputs, which all carry the reward of the session; one by default."""
        self._numbers = itertools.count()
        self._started = []

    def launch(self, tasks):
        uids = []
        for task in tasks:
            uid = f"uid{next(self._numbers)}"
            self.launched.append(task)
            self.items[uid] = {"is_prompt": True, "status": "running", "global_steps": self.step}
            self._started.append((uid, task))
            uids.append(uid)
        return uids

    def abort(self, uids):
        self.aborted += uids
        for uid in uids:
            self.items[uid]["status"] = "failure"

    def _finish(self):
        running = []
        for uid, task in reversed(self._started):
            result = self.outcome(task, int(uid[3:]))
            if result == "running":
                running.append((uid, task))
                continue
            self.items[uid]["status"] = "failure" if result is None else "finished"
            if result is None and self.error:
                self.items[uid]["mt_grpo_error"] = self.error
            self._store(uid, result, self.items)
        self._started = running[::-1]

    def _store(self, uid, result, items):
        for session, (reward, acc) in enumerate(result or []):
            info = {} if acc is MISSING else {"acc": acc}
            for output in range(self.outputs_of.get(session, 1)):
                key = f"{uid}_{session}_{output}"
                items[key] = {"status": "success", "seq_len": 5, "response_len": 3}
                self.fields[key] = (torch.tensor([0.0, reward]), {"reward_extra_info": info})

    def kv_list(self, partition_id=None):
        if partition_id is None:
            self._finish()
        return {
            name: {key: dict(tag) for key, tag in items.items()}
            for name, items in (("train", self.items), ("val", self.validation))
        }

    def validate(self, uid, result):
        """A validation prompt that has ended, with what `outcome` would return."""
        self.validation[uid] = {"is_prompt": True, "status": "finished" if result else "failure", "global_steps": 0}
        self._store(uid, result, self.validation)

    def kv_batch_get(self, keys, partition_id, select_fields):
        assert select_fields == ["rm_scores", "extra_fields"]
        return {
            "rm_scores": [self.fields[key][0] for key in keys],
            "extra_fields": [types.SimpleNamespace(data=self.fields[key][1]) for key in keys],
        }

    def kv_clear(self, keys, partition_id):
        for key in keys:
            (self.validation if partition_id == "val" else self.items).pop(key, None)
            self.cleared.add(key)


class FakeRows:
    """The queue's training rows: fields are lists of numbers by key, read as nested tensors of shape (N, T*)."""

    def __init__(self):
        self.fields = {}
        self.tags = {}

    def add(self, key, **fields):
        self.fields.setdefault(key, {}).update(fields)

    def kv_batch_get(self, keys, partition_id, select_fields):
        assert partition_id == "train"
        present = [name for name in select_fields if all(name in self.fields[key] for key in keys)]
        columns = {
            name: torch.nested.nested_tensor([torch.tensor(self.fields[k][name]) for k in keys], layout=torch.jagged)
            for name in present
        }
        return TensorDict(columns, batch_size=len(keys))

    def kv_batch_put(self, keys, partition_id, fields):
        assert partition_id == "train"
        for name in fields.keys():  # noqa: SIM118
            for key, values in zip(keys, fields[name].unbind(), strict=True):
                self.add(key, **{name: values.tolist()})
        return KVBatchMeta(partition_id=partition_id, keys=keys, tags=[{}] * len(keys), fields=list(fields.keys()))

    def kv_put(self, key, partition_id, tag):
        assert partition_id == "train"
        self.tags[key] = tag
