"""From a response to its reward: `compute_score`, and how it and the tasks read answers and truths."""
