# written by the project itself (a Claude model at work on it) as a baseline on raw pixels; no image seen
# approach: many waterbirds are white or grey, many landbirds brown or colourful: colour of the centre


def label_function(image):
    height, width = len(image), len(image[0])
    bright_grey = colourful = count = 0
    for row in image[height // 4 : height * 3 // 4]:
        for pixel in row[width // 4 : width * 3 // 4]:
            spread = max(pixel) - min(pixel)
            bright_grey += spread < 25 and sum(pixel) > 450
            colourful += spread > 60
            count += 1
    if bright_grey > 0.3 * count:
        return 1
    if colourful > 0.3 * count:
        return 0
    return -1
