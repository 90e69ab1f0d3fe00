# written by the project itself (a Claude model at work on it) as a baseline on raw pixels; no image seen
# approach: water is smooth and leaves are rough: mean difference of neighbours in the lowest quarter of the image


def label_function(image):
    rows = image[len(image) * 3 // 4 :]
    total = count = 0
    for row in rows:
        for left, right in zip(row, row[1:]):
            total += abs(sum(left) - sum(right)) / 3
            count += 1
    rough = total / max(1, count)
    if rough < 6:
        return 1
    if rough > 14:
        return 0
    return -1
