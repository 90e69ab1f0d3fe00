# concepts: thing, use
# written by a Claude model from the concepts' descriptions alone, no image seen
ANIMALS = (2, 3, 4, 5, 6, 7)


def label_function(scores):
    both = [scores[y] + scores[10 + y] for y in range(10)]
    if sum(both[y] for y in ANIMALS) < 1.2:
        return -1
    return max(ANIMALS, key=lambda y: both[y])
