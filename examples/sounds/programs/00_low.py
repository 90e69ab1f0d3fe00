# concepts: pitch
# approach: what is clearly low is a hum; of the others pitch alone does not tell which


def label_function(scores):
    low = scores[0]
    return 0 if low > 0.75 else -1
