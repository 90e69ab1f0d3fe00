# concepts: feet
# task: waterbirds (concept: feet - gripping toes with claws against webbed feet)
# prompt: "Write a bug-free and executable function in python to label whether a bird is a landbird
#   or a waterbird from two scores between 0 and 1, its similarity to a landbird description and to
#   a waterbird description. Return 0 for landbird, 1 for waterbird, and -1 to abstain."
# written by a Claude model from the prompt alone, no data seen
# approach: plain comparison with a very small absolute margin; webbed feet are close to decisive

import math

MARGIN = 0.002


def _pair(scores):
    """The two scores as floats, or None when they cannot be read."""
    try:
        land, water = float(scores[0]), float(scores[1])
    except (TypeError, ValueError, IndexError, KeyError):
        return None
    if not (math.isfinite(land) and math.isfinite(water)):
        return None
    return land, water


def label_function(scores):
    pair = _pair(scores)
    if pair is None:
        return -1
    land, water = pair
    if water - land > MARGIN:
        return 1
    if land - water > MARGIN:
        return 0
    # no visible difference between toes and webbing: feet are probably hidden
    return -1
