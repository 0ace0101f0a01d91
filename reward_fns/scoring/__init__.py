"""From a response to its reward: `compute_score`, and what it and the tasks read answers and truths with."""
