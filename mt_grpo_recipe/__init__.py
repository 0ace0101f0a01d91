"""Multi-Task GRPO (arXiv 2602.05547) as a plugin for verl 0.9.1."""
