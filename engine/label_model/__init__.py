"""From moments of votes to a label model: moment matching, and the majority vote it is held against.

Nothing is imported here: reading a saved label model needs no solver.
"""
