"""Where it runs: connecting to Ray and what the cluster has. Knows nothing of labels."""
