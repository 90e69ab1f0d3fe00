# concepts: thing, kinds, parts, use
# written by a Claude model from the concepts' descriptions alone, no image seen
def label_function(scores):
    answers = set()
    for start in range(0, 40, 10):
        answers.add(max(range(10), key=lambda y: scores[start + y]))
    return answers.pop() if len(answers) == 1 else -1
