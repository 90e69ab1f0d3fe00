# concepts: texture
# approach: what has a flat spectrum is a hiss


def label_function(scores):
    noisy = scores[2]
    return 2 if noisy > 0.4 else -1
