# concepts: size
# task: waterbirds (concept: size - sparrow-sized and delicate against duck-sized and bulky)
# prompt: "Write a bug-free and executable function in python to label whether a bird is a landbird
#   or a waterbird from two scores between 0 and 1, its similarity to a landbird description and to
#   a waterbird description. Return 0 for landbird, 1 for waterbird, and -1 to abstain."
# written by a Claude model from the prompt alone, no data seen
# approach: never abstains on two readable, different scores - difference of log-odds with a small
#           lean towards landbirds, since size is hard to judge in a close photograph

import math

LEAN = 0.01      # in log-odds, in favour of landbird
FLOOR = 1e-4


def _log_odds(p):
    p = min(1.0 - FLOOR, max(FLOOR, p))
    return math.log(p / (1.0 - p))


def label_function(scores):
    if not isinstance(scores, (list, tuple)) or len(scores) < 2:
        return -1
    try:
        land, water = float(scores[0]), float(scores[1])
    except (TypeError, ValueError):
        return -1
    if not (math.isfinite(land) and math.isfinite(water)):
        return -1
    # identical scores say nothing about size
    if land == water:
        return -1
    evidence = _log_odds(water) - _log_odds(land) - LEAN
    return 1 if evidence > 0.0 else 0
