"""Training and test data: puzzles with checkable answers, seed in, parquet out."""
