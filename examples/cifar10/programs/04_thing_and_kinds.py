# concepts: thing, kinds
# written by a Claude model from the concepts' descriptions alone, no image seen
def label_function(scores):
    both = [scores[y] + scores[10 + y] for y in range(10)]
    best = max(range(10), key=lambda y: both[y])
    return best if both[best] > 0.5 else -1
