"""What each sampler costs on a simulated rollout engine: the engine, and the `mt-grpo simulate` command."""
