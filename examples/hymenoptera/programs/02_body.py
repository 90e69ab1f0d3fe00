# concepts: body
# written by a Claude model from the concept's descriptions alone, no image seen
def label_function(scores):
    ants, bees = scores
    lead = bees - ants
    if lead > 0.1:
        return 1
    if lead < -0.1:
        return 0
    return -1
