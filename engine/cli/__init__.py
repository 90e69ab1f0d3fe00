"""The command line: what a user types, and how a run shows itself. The work is in `engine.pipeline`."""
