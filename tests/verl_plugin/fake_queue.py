"""A TransferQueue in one process, and a rollout that answers with rewards from a table."""

import itertools
import types

import torch


class FakeRollout:
    """Groups launched end one poll later, newest first, with what `outcome(task, number)` says.

    `outcome` returns a list of (reward, acc) a rollout, or None for a failed group, or "running" for one that has not
    ended by this poll.
    """

    def __init__(self, outcome):
        self.outcome = outcome
        self.items = {}
        self.fields = {}
        self.launched = []
        self.cleared = set()
        self.aborted = []
        self.step = 1
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
            for session, (reward, acc) in enumerate(result or []):
                key = f"{uid}_{session}_0"
                self.items[key] = {"status": "success", "seq_len": 5}
                info = {} if acc is None else {"acc": acc}
                self.fields[key] = (torch.tensor([0.0, reward]), {"reward_extra_info": info})
        self._started = running[::-1]

    def kv_list(self):
        self._finish()
        return {"train": {key: dict(tag) for key, tag in self.items.items()}}

    def kv_batch_get(self, keys, partition_id, select_fields):
        assert select_fields == ["rm_scores", "extra_fields"]
        return {
            "rm_scores": [self.fields[key][0] for key in keys],
            "extra_fields": [types.SimpleNamespace(data=self.fields[key][1]) for key in keys],
        }

    def kv_clear(self, keys, partition_id):
        for key in keys:
            self.items.pop(key, None)
            self.cleared.add(key)
