"""The mathematics of MT-GRPO: torch and numpy only, no verl, ray or vllm."""
