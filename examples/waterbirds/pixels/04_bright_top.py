# written by the project itself (a Claude model at work on it) as a baseline on raw pixels; no image seen
# approach: over water there is sky, so the upper quarter is brighter than the rest; in a forest it is not


def label_function(image):
    def brightness(rows):
        values = [sum(pixel) / 3 for row in rows for pixel in row]
        return sum(values) / len(values)

    quarter = max(1, len(image) // 4)
    lead = brightness(image[:quarter]) - brightness(image[quarter:])
    if lead > 25:
        return 1
    if lead < -5:
        return 0
    return -1
