# concepts: plumage
# task: waterbirds (concept: plumage - bright, streaked, fluffy against sleek plain white, gray, black)
# prompt: "Write a bug-free and executable function in python to label whether a bird is a landbird
#   or a waterbird from two scores between 0 and 1, its similarity to a landbird description and to
#   a waterbird description. Return 0 for landbird, 1 for waterbird, and -1 to abstain."
# written by a Claude model from the prompt alone, no data seen
# approach: normalised contrast (difference over sum) with a wider symmetric band, since crows and
#           blackbirds are plain landbirds and mallards are colorful waterbirds

BAND = 0.02


def _numbers(scores):
    values = []
    for item in scores:
        try:
            values.append(float(item))
        except (TypeError, ValueError):
            return []
    return values


def label_function(scores):
    if not scores:
        return -1
    values = _numbers(scores)
    if len(values) < 2 or any(v != v for v in values[:2]):
        return -1
    land, water = max(values[0], 0.0), max(values[1], 0.0)
    total = land + water
    if total == 0.0:
        return -1
    contrast = (water - land) / total
    if contrast > BAND:
        return 1
    if contrast < -BAND:
        return 0
    return -1
