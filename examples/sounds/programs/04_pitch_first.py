# concepts: pitch, texture
# approach: low is a hum; of what is not, the clearly tonal is a whistle and the clearly noisy a hiss


def label_function(scores):
    low, tonal, noisy = scores[0], scores[3], scores[5]
    if low > 0.65:
        return 0
    if tonal > 0.85:
        return 1
    return 2 if noisy > 0.3 else -1
