"""What a run did, step by step, on disk beside its checkpoints: `decisions.jsonl` and `outcomes.jsonl`."""
