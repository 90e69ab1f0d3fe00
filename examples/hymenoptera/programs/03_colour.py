# concepts: colour
# written by a Claude model from the concept's descriptions alone, no image seen
def label_function(scores):
    ants, bees = scores
    return 1 if bees > 0.55 else 0 if ants > 0.55 else -1
