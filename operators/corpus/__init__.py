"""From what a user calls the data to shards, and from a shard to its rows."""
