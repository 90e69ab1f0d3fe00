# written by the project itself (a Claude model at work on it) as a baseline on raw pixels; no image seen
# approach: the mean colour of the border, where the bird is not; bluish is water, greenish or brownish is land


def label_function(image):
    height, width = len(image), len(image[0])
    depth = max(1, height // 8)
    total, count = [0, 0, 0], 0
    for y in range(height):
        for x in range(width):
            if min(y, x, height - 1 - y, width - 1 - x) < depth:
                for c in range(3):
                    total[c] += image[y][x][c]
                count += 1
    red, green, blue = (value / count for value in total)
    if blue > max(red, green) + 5:
        return 1
    if max(red, green) > blue + 5:
        return 0
    return -1
