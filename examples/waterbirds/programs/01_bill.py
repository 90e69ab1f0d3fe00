# concepts: bill
# task: waterbirds (concept: bill - short cone or thin point against long, flat, dagger-like or hooked)
# prompt: "Write a bug-free and executable function in python to label whether a bird is a landbird
#   or a waterbird from two scores between 0 and 1, its similarity to a landbird description and to
#   a waterbird description. Return 0 for landbird, 1 for waterbird, and -1 to abstain."
# written by a Claude model from the prompt alone, no data seen
# approach: ratio of the two scores, so that the answer does not depend on their overall level

RATIO = 1.02
TINY = 1e-6


def label_function(scores):
    if scores is None or not hasattr(scores, "__len__") or len(scores) < 2:
        return -1
    try:
        land = min(1.0, max(0.0, float(scores[0])))
        water = min(1.0, max(0.0, float(scores[1])))
    except (TypeError, ValueError):
        return -1
    if land != land or water != water:
        return -1
    # nothing matches either bill: no evidence to compare
    if land < TINY and water < TINY:
        return -1
    ratio = (water + TINY) / (land + TINY)
    if ratio >= RATIO:
        return 1
    if ratio <= 1.0 / RATIO:
        return 0
    return -1
