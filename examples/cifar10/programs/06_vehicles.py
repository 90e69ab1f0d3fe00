# concepts: thing, parts
# written by a Claude model from the concepts' descriptions alone, no image seen
VEHICLES = (0, 1, 8, 9)


def label_function(scores):
    both = [scores[y] + scores[10 + y] for y in range(10)]
    if sum(both[y] for y in VEHICLES) < 1.2:
        return -1
    return max(VEHICLES, key=lambda y: both[y])
