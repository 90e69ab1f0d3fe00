# written by the project itself (a Claude model at work on it) as a baseline on raw pixels; no image seen
# approach: water is blue and land is green, so whichever colour leads decides


def label_function(image):
    blue = green = 0
    for row in image:
        for r, g, b in row:
            if b > r + 10 and b > g + 10:
                blue += 1
            elif g > r + 10 and g > b + 10:
                green += 1
    if blue + green < 20:
        return -1
    return int(blue > green)
