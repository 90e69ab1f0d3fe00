# concepts: pitch, texture
# approach: a whistle is high and has a tone


def label_function(scores):
    high, tonal = scores[1], scores[3]
    return 1 if high > 0.3 and tonal > 0.7 else -1
