# concepts: legs
# task: waterbirds (concept: legs - thin legs under the middle against sturdy legs set far back)
# prompt: "Write a bug-free and executable function in python to label whether a bird is a landbird
#   or a waterbird from two scores between 0 and 1, its similarity to a landbird description and to
#   a waterbird description. Return 0 for landbird, 1 for waterbird, and -1 to abstain."
# written by a Claude model from the prompt alone, no data seen
# approach: margin that adapts to the level - legs are often hidden, in which case both scores are
#           low; the lower the better score, the larger the lead that is asked for

import math

BASE_MARGIN = 0.01
HIDDEN_MARGIN = 0.04
VISIBLE_LEVEL = 0.2


def _required_lead(level):
    """Relative lead: small when at least one description fits, growing as neither does."""
    if level >= VISIBLE_LEVEL:
        return BASE_MARGIN
    share = max(0.0, level) / VISIBLE_LEVEL
    return HIDDEN_MARGIN - (HIDDEN_MARGIN - BASE_MARGIN) * share


def label_function(scores):
    try:
        values = [float(s) for s in scores]
    except (TypeError, ValueError):
        return -1
    if len(values) != 2 or not all(math.isfinite(v) for v in values):
        return -1
    land, water = values
    level = max(land, water)
    if level <= 0.0:
        return -1
    lead = abs(water - land) / level
    if lead < _required_lead(level):
        return -1
    return 1 if water > land else 0
