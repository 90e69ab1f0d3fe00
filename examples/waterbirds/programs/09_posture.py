# concepts: posture
# task: waterbirds (concept: posture - tilted up with clasped toes against low, level and heavy)
# prompt: "Write a bug-free and executable function in python to label whether a bird is a landbird
#   or a waterbird from two scores between 0 and 1, its similarity to a landbird description and to
#   a waterbird description. Return 0 for landbird, 1 for waterbird, and -1 to abstain."
# written by a Claude model from the prompt alone, no data seen
# approach: entropy of the sharpened shares - powers of the scores are turned into two shares, and the
#           function abstains when they are nearly as uncertain as a coin toss

import math

POWER = 12
MAX_ENTROPY = 0.985     # in bits; an even split has 1


def _entropy(p):
    if p <= 0.0 or p >= 1.0:
        return 0.0
    return -(p * math.log2(p) + (1.0 - p) * math.log2(1.0 - p))


def label_function(scores):
    if scores is None or not hasattr(scores, "__getitem__"):
        return -1
    try:
        land, water = float(scores[0]), float(scores[1])
    except (TypeError, ValueError, IndexError, KeyError):
        return -1
    if not (math.isfinite(land) and math.isfinite(water)):
        return -1
    land, water = max(land, 0.0), max(water, 0.0)
    top = max(land, water)
    if top == 0.0:
        return -1
    # dividing by the larger score first keeps the powers from vanishing
    a, b = (land / top) ** POWER, (water / top) ** POWER
    share_water = b / (a + b)
    if _entropy(share_water) > MAX_ENTROPY:
        return -1
    return 1 if share_water > 0.5 else 0
