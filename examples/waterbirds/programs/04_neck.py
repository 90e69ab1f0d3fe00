# concepts: neck
# task: waterbirds (concept: neck - short neck against long, S-curved neck)
# prompt: "Write a bug-free and executable function in python to label whether a bird is a landbird
#   or a waterbird from two scores between 0 and 1, its similarity to a landbird description and to
#   a waterbird description. Return 0 for landbird, 1 for waterbird, and -1 to abstain."
# written by a Claude model from the prompt alone, no data seen
# approach: asymmetric the other way - a long neck nearly always means a waterbird, but a short neck
#           fits gulls, terns and auks too, so a landbird answer needs the clearer lead

import math

WATER_RATIO = 1.0    # any lead at all for the long neck
LAND_RATIO = 1.04    # the short neck has to be four percent ahead


def label_function(scores):
    try:
        land, water = (float(s) for s in scores)
    except (TypeError, ValueError):
        return -1
    if not math.isfinite(land) or not math.isfinite(water):
        return -1
    if land <= 0.0 and water <= 0.0:
        return -1
    if water > WATER_RATIO * land:
        return 1
    if land >= LAND_RATIO * water:
        return 0
    return -1
