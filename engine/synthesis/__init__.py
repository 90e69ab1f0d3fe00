"""From a labeling task to programs: prompts, a language model behind a ledger, and its answers read as code.

Nothing is imported here: reading programs from a folder needs neither the `openai` client nor templates, and
whoever asks for one of them should not pay for the other.
"""
