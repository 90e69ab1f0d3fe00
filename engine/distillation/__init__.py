"""The distilled model: a small classifier trained on the soft labels, which labels rows that no program covers.

It is a multinomial logistic regression over hashed n-grams or a frozen encoder's embeddings. The problem is convex
and its gradient is a sum over rows, so one process and many workers take the same steps.
"""
