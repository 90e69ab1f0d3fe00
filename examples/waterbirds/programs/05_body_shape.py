# concepts: body shape
# task: waterbirds (concept: body shape - compact and round against elongated and boat-shaped)
# prompt: "Write a bug-free and executable function in python to label whether a bird is a landbird
#   or a waterbird from two scores between 0 and 1, its similarity to a landbird description and to
#   a waterbird description. Return 0 for landbird, 1 for waterbird, and -1 to abstain."
# written by a Claude model from the prompt alone, no data seen
# approach: two-way softmax with a sharp temperature; abstains only near an even probability

import math

TEMPERATURE = 0.02
SURE = 0.55


def _probability_water(land, water):
    z = (water - land) / TEMPERATURE
    # the two branches keep exp() from overflowing
    if z >= 0:
        return 1.0 / (1.0 + math.exp(-z))
    e = math.exp(z)
    return e / (1.0 + e)


def label_function(scores):
    if scores is None:
        return -1
    values = list(scores)
    if len(values) != 2:
        return -1
    try:
        land, water = float(values[0]), float(values[1])
    except (TypeError, ValueError):
        return -1
    if math.isnan(land) or math.isnan(water):
        return -1
    land, water = min(max(land, 0.0), 1.0), min(max(water, 0.0), 1.0)
    p = _probability_water(land, water)
    if p >= SURE:
        return 1
    if p <= 1.0 - SURE:
        return 0
    return -1
