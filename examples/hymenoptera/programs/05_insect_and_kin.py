# concepts: insect, kin
# written by a Claude model from the concepts' descriptions alone, no image seen
def label_function(scores):
    ants, bees = scores[0] + scores[2], scores[1] + scores[3]
    if bees - ants > 0.2:
        return 1
    if ants - bees > 0.2:
        return 0
    return -1
