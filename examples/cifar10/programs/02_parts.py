# concepts: parts
# written by a Claude model from the concept's descriptions alone, no image seen
def label_function(scores):
    best = max(range(10), key=lambda y: scores[y])
    second = max(score for y, score in enumerate(scores) if y != best)
    return best if scores[best] - second > 0.05 else -1
