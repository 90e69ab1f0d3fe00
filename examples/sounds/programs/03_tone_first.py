# concepts: texture, pitch
# approach: without a tone it is a hiss; with one, pitch decides


def label_function(scores):
    tonal, high = scores[0], scores[4]
    if tonal < 0.6:
        return 2
    return 1 if high > 0.35 else 0
