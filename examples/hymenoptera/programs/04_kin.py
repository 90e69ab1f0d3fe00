# concepts: kin
# written by a Claude model from the concept's descriptions alone, no image seen
def label_function(scores):
    ants, bees = scores
    lead = bees - ants
    return 1 if lead > 0.05 else 0 if lead < -0.05 else -1
