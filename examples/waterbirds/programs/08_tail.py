# concepts: tail
# task: waterbirds (concept: tail - long and visible against short and stubby)
# prompt: "Write a bug-free and executable function in python to label whether a bird is a landbird
#   or a waterbird from two scores between 0 and 1, its similarity to a landbird description and to
#   a waterbird description. Return 0 for landbird, 1 for waterbird, and -1 to abstain."
# written by a Claude model from the prompt alone, no data seen
# approach: the weakest cue (wrens have stubby tails, terns and pintails long ones), so scores are
#           rounded into steps and only a full step between them counts

import math

STEP = 0.01
CLEAR = 0.9     # above this one description fits outright


def _level(value):
    # half steps go up, unlike round(), so that equal gaps are treated equally
    return int(math.floor(value / STEP + 0.5))


def label_function(scores):
    if not scores or len(scores) < 2:
        return -1
    try:
        land, water = float(scores[0]), float(scores[1])
    except (TypeError, ValueError):
        return -1
    if math.isnan(land) or math.isnan(water) or math.isinf(land) or math.isinf(water):
        return -1
    # both descriptions of a tail cannot fit outright at once
    if land >= CLEAR and water >= CLEAR:
        return -1
    steps = _level(water) - _level(land)
    if steps >= 1:
        return 1
    if steps <= -1:
        return 0
    return -1
