"""One file a stage, in the order of the flow: each does what is not done yet and says whether it did anything."""
