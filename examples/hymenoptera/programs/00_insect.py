# concepts: insect
# written by a Claude model from the concept's descriptions alone, no image seen
def label_function(scores):
    ants, bees = scores
    if abs(bees - ants) < 0.05:
        return -1
    return 1 if bees > ants else 0
