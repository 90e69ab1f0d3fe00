# concepts: wings
# task: waterbirds (concept: wings - short and rounded against long, narrow and pointed)
# prompt: "Write a bug-free and executable function in python to label whether a bird is a landbird
#   or a waterbird from two scores between 0 and 1, its similarity to a landbird description and to
#   a waterbird description. Return 0 for landbird, 1 for waterbird, and -1 to abstain."
# written by a Claude model from the prompt alone, no data seen
# approach: asymmetric margins - swallows and swifts are landbirds with long pointed wings, so a
#           waterbird answer needs more of a lead than a landbird answer

import math

LEAD_FOR_LAND = 0.0
LEAD_FOR_WATER = 0.03  # as a share of the larger score


def _clean(value):
    try:
        value = float(value)
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None


def label_function(scores):
    if not isinstance(scores, (list, tuple)) or len(scores) != 2:
        return -1
    land, water = _clean(scores[0]), _clean(scores[1])
    if land is None or water is None:
        return -1
    scale = max(land, water)
    if scale <= 0.0:
        return -1
    lead = (water - land) / scale
    if lead >= LEAD_FOR_WATER:
        return 1
    if lead < LEAD_FOR_LAND:
        return 0
    # long wings only slightly ahead: could be a swallow as well as a gull
    return -1
