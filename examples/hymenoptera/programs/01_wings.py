# concepts: wings
# written by a Claude model from the concept's descriptions alone, no image seen
def label_function(scores):
    ants, bees = scores
    # Most insects in pictures show no wings clearly, so only a clear lead counts.
    if bees > 0.6:
        return 1
    if ants > 0.6:
        return 0
    return -1
