"""Elements of the synthetic scenes: textures, objects, backgrounds, moving foregrounds.

Textures are uint8 [H, W, 3], scenes and objects Pillow images; with light on them float32 in [0, 1].
Every function takes its random numbers from the generator that it is given.
"""

from __future__ import annotations

import colorsys
import functools

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

WORDS = (
    *("EXIT", "STOP", "OPEN", "TAXI", "METRO", "HOTEL", "CAFE", "BAKERY", "PARKING", "ONE WAY", "MARKET"),
    *("BOOKS", "HARBOUR", "STATION 4", "BUS 27", "MUSEUM", "No. 12", "SLOW", "50", "30 km/h", "FLOWERS"),
    *("Mill Lane", "Park Street", "Old Bridge", "Church Road", "East Gate", "Fresh fish", "Platform 9"),
)


# Colours and textures


def colour(generator, saturation=(0.1, 0.6), value=(0.3, 0.9), hue=(0.0, 1.0)) -> tuple[int, int, int]:
    """Draws a colour: RGB, 0 to 255, from ranges of hue, saturation and value within [0, 1]."""
    chosen = (generator.uniform(*limits) for limits in (hue, saturation, value))
    return tuple(round(255 * part) for part in colorsys.hsv_to_rgb(*chosen))


def fractal_noise(generator, height, width, cells=2, roughness=0.55) -> np.ndarray:
    """Draws clouds: float32 [H, W], mostly in [0, 1]; `cells` are the largest blobs across the height."""
    total, weight = np.zeros((height, width), np.float32), 1.0
    while cells < height:
        grid = generator.standard_normal((cells + 1, cells * width // height + 2), np.float32)
        total += weight * cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
        cells, weight = 2 * cells, weight * roughness
    return 0.5 + total / 6


def blend(first, second, weight) -> np.ndarray:
    """Mixes two colours with `weight` [H, W] of the second one: uint8 [H, W, 3]."""
    first, second = np.asarray(first, np.float32), np.asarray(second, np.float32)
    mixed = first + (second - first) * weight[..., None]
    return np.clip(mixed, 0, 255).astype(np.uint8)


def slanted(generator, height, width) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates along two perpendicular axes in a random direction: two of float [H, W]."""
    angle = generator.uniform(0, np.pi)
    y, x = np.mgrid[:height, :width]
    return x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)


def plaster(generator, height, width) -> np.ndarray:
    """Draws a rough, stained surface of one colour."""
    base = np.array(colour(generator, saturation=(0.05, 0.4), value=(0.5, 0.9)))
    return blend(0.75 * base, 1.1 * base, fractal_noise(generator, height, width, cells=3, roughness=0.7))


def bricks(generator, height, width) -> np.ndarray:
    """Draws rows of bricks, each of its own shade, in light mortar."""
    course = int(generator.integers(14, 30))  # height of a brick
    length, joint = int(2.6 * course), max(2, course // 7)
    y, x = np.mgrid[:height, :width]
    row = y // course
    x = x + (row % 2) * (length // 2)
    shades = generator.normal(0.6, 0.3, (row.max() + 1, x.max() // length + 1))[row, x // length]
    base = np.array(colour(generator, saturation=(0.3, 0.6), value=(0.5, 0.75), hue=(0.0, 0.08)))
    grain = fractal_noise(generator, height, width, cells=32, roughness=0.8) - 0.5
    wall = blend(0.6 * base, 1.1 * base, np.clip(shades + grain, 0, 1))
    mortar = (y % course < joint) | (x % length < joint)
    wall[mortar] = blend((150, 145, 135), (205, 200, 190), 0.5 + grain)[mortar]
    return wall


def stripes(generator, height, width) -> np.ndarray:
    """Draws slanted stripes of three colours and uneven widths."""
    along, _ = slanted(generator, height, width)
    colours = np.array([colour(generator, value=(0.35, 0.95)) for _ in range(3)], np.uint8)
    order = generator.integers(0, 3, 8)
    return colours[order[(along // generator.integers(8, 26)).astype(int) % 8]]


def checkers(generator, height, width) -> np.ndarray:
    """Draws slanted squares of two colours."""
    side = int(generator.integers(14, 44))
    along, across = slanted(generator, height, width)
    odd = (along // side + across // side) % 2
    worn = 0.15 * fractal_noise(generator, height, width, cells=4)
    return blend(colour(generator, value=(0.2, 0.5)), colour(generator, value=(0.6, 0.95)), 0.85 * odd + worn)


def foliage(generator, height, width) -> np.ndarray:
    """Draws leaves: many small ellipses, light ones over dark ones, in clumps."""
    clumps = fractal_noise(generator, height, width, cells=4)
    leaves = blend((12, 24, 10), (40, 62, 26), clumps)
    for _ in range(height * width // 160):
        y, x = int(generator.integers(height)), int(generator.integers(width))
        light = float(np.clip(clumps[y, x] + generator.normal(0, 0.15), 0.1, 1))
        ink = colour(generator, saturation=(0.35, 0.7), value=(0.5 * light, 0.95 * light), hue=(0.17, 0.36))
        axes = (int(generator.integers(3, 10)), int(generator.integers(2, 5)))
        cv2.ellipse(leaves, (x, y), axes, int(generator.integers(180)), 0, 360, ink, -1)
    return leaves


def sky(generator, height, width) -> np.ndarray:
    """Draws a clear or cloudy sky, lighter towards the horizon."""
    zenith = np.array(colour(generator, saturation=(0.2, 0.55), value=(0.6, 0.85), hue=(0.54, 0.62)))
    fall = np.linspace(0, 1, height)[:, None] * np.ones(width)
    clouds = np.clip(2 * fractal_noise(generator, height, width) - generator.uniform(0.7, 1.4), 0, 1)
    return blend(blend(zenith, (225, 228, 230), fall), (245, 243, 240), clouds)


def wood(generator, height, width) -> np.ndarray:
    """Draws planks with a grain along them."""
    base = np.array(colour(generator, saturation=(0.35, 0.6), value=(0.45, 0.75), hue=(0.06, 0.1)))
    grain = cv2.resize(fractal_noise(generator, height, max(8, width // 24), cells=8, roughness=0.8),
                       (width, height), interpolation=cv2.INTER_CUBIC)  # fmt: skip
    boards = blend(0.55 * base, 1.25 * base, grain)
    boards[:: max(24, height // 7)] //= 3
    return boards


# Things in a scene. A box is (left, top, right, bottom) in drawn pixels.


def fill(image, box, texture, generator) -> None:
    """Covers a box of `image` with a texture."""
    left, top, right, bottom = box
    image.paste(Image.fromarray(texture(generator, bottom - top, right - left)), (left, top))


@functools.cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """Pillow's own font: the same on every machine."""
    return ImageFont.load_default(size=size)


def letter(draw, box, text, ink) -> None:
    """Writes one line as large as fits into a box; nothing where it could not be read."""
    left, top, right, bottom = box
    height = max(0.8 * (bottom - top), 1)
    size = int(height * min(1, 0.9 * (right - left) / font(int(height) + 1).getlength(text)))
    if size >= 6:
        middle = ((left + right) / 2, (top + bottom) / 2)
        draw.text(middle, text, ink, font(size), anchor="mm", stroke_width=size // 20)


def board(generator, image, box) -> None:
    """Draws a sign: a rim, a plain face, one to three lines of text, on light ground or on dark."""
    draw = ImageDraw.Draw(image)
    left, top, right, bottom = box
    dark = colour(generator, saturation=(0.4, 0.9), value=(0.1, 0.5))
    light = colour(generator, saturation=(0.0, 0.3), value=(0.85, 1.0))
    face, ink = (dark, light) if generator.random() < 0.5 else (light, dark)
    rim = max(2, (bottom - top) // 24)
    draw.rounded_rectangle(box, 3 * rim, face)
    draw.rounded_rectangle((left + rim, top + rim, right - rim, bottom - rim), 2 * rim, None, ink, rim)
    edges = np.linspace(top + 3 * rim, bottom - 3 * rim, int(generator.integers(1, 4)) + 1)
    for upper, lower in zip(edges[:-1], edges[1:]):
        letter(draw, (left + 3 * rim, upper, right - 3 * rim, lower), str(generator.choice(WORDS)), ink)


def window(generator, image, box) -> None:
    """Draws a window: frame, glass that mirrors a sky, bars, a sill."""
    draw = ImageDraw.Draw(image)
    left, top, right, bottom = box
    bar = max(2, (right - left) // 14)
    frame = colour(generator, saturation=(0.0, 0.2), value=(0.75, 1.0))
    draw.rectangle((left, top, right, bottom), frame)
    pane = np.linspace(0, 1, bottom - top - 2 * bar)[:, None] * np.ones(right - left - 2 * bar)
    lit = colour(generator, saturation=(0.1, 0.5), value=(0.3, 0.8), hue=(0.08, 0.65))
    image.paste(Image.fromarray(blend(lit, (28, 32, 38), np.sqrt(pane))), (left + bar, top + bar))
    middle, third = (left + right) // 2, (2 * top + bottom) // 3
    draw.rectangle((middle - bar // 2, top, middle + bar // 2, bottom), frame)
    draw.rectangle((left, third - bar // 2, right, third + bar // 2), frame)
    draw.rectangle((left - bar, bottom, right + bar, bottom + bar), (70, 66, 62))


def facade(generator, image, box) -> None:
    """Draws a house: a wall, rows of windows, a shop with its sign on the ground floor."""
    left, top, right, bottom = box
    fill(image, box, (plaster, bricks, plaster, stripes)[generator.integers(4)], generator)
    columns, rows = int(generator.integers(2, 5)), int(generator.integers(2, 5))
    wide, high = (right - left) / columns, (bottom - top) / (rows + 1)
    for row in range(rows):
        for column in range(columns):
            x, y = left + (column + 0.25) * wide, top + (row + 0.25) * high
            window(generator, image, tuple(map(int, (x, y, x + 0.5 * wide, y + 0.6 * high))))
    street = int(bottom - 0.9 * high)
    sign = (left + 8, street, right - 8, int(street + 0.4 * high))
    ImageDraw.Draw(image).rectangle((left + 12, street, right - 12, bottom), (36, 34, 34))
    board(generator, image, sign)
    ImageDraw.Draw(image).line((left, top, right, top), (235, 230, 220), 5)


def lines(generator, image, count, width) -> None:
    """Draws wires or twigs: thin curves from side to side."""
    across, down = image.size
    x = np.linspace(0, across, 40)
    for _ in range(count):
        start, end, sag = generator.uniform(0, 0.6, 3) * down
        y = start + (end - start) * x / across + 0.3 * sag * np.sin(np.pi * x / across)
        ImageDraw.Draw(image).line(list(zip(x, y)), colour(generator, value=(0.05, 0.3)), width)


# Scenes: each fills a Pillow image


def street(generator, image) -> None:
    """Draws houses in a row under the sky, a pavement, trees, wires."""
    width, height = image.size
    ground = int(height * generator.uniform(0.8, 0.92))
    fill(image, (0, 0, width, ground), sky, generator)
    fill(image, (0, ground, width, height), plaster, generator)
    walls = np.linspace(0, width, int(generator.integers(2, 5)) + 1).astype(int)
    for left, right in zip(walls[:-1], walls[1:]):
        facade(generator, image, (left, int(height * generator.uniform(0.0, 0.35)), right, ground))
    if generator.random() < 0.6:
        crown = fractal_noise(generator, height, width)
        crown[2 * height // 3 :] = 0
        leaves = Image.fromarray(foliage(generator, height, width))
        image.paste(leaves, (0, 0), Image.fromarray((255 * (crown > 0.66)).astype(np.uint8)))
    lines(generator, image, count=int(generator.integers(1, 4)), width=2)


def wall(generator, image) -> None:
    """Draws a wall with posters, some of them patterned, and a window."""
    width, height = image.size
    fill(image, (0, 0, width, height), (bricks, plaster, checkers, wood)[generator.integers(4)], generator)
    for _ in range(int(generator.integers(4, 9))):
        high, wide = (int(height * fraction) for fraction in generator.uniform(0.15, 0.45, 2))
        left, top = int(generator.integers(width - wide)), int(generator.integers(height - high))
        box = (left, top, left + wide, top + high)
        kind = generator.random()
        if kind < 0.2:
            fill(image, box, (stripes, checkers)[generator.integers(2)], generator)
        elif kind < 0.35:
            window(generator, image, box)
        else:
            board(generator, image, box)


def park(generator, image) -> None:
    """Draws trees over grass, a fence with narrow pickets, signs on posts."""
    width, height = image.size
    draw = ImageDraw.Draw(image)
    horizon = int(height * generator.uniform(0.5, 0.75))
    fill(image, (0, 0, width, horizon), (foliage, foliage, sky)[generator.integers(3)], generator)
    fill(image, (0, horizon, width, height), foliage, generator)
    paint = colour(generator, saturation=(0.0, 0.4), value=(0.3, 0.95))
    top, pitch = horizon - height // 6, int(generator.integers(14, 34))
    for x in range(0, width, pitch):
        draw.polygon([(x, top), (x + pitch // 6, top - 8), (x + pitch // 3, top),
                      (x + pitch // 3, horizon + 20), (x, horizon + 20)], paint)  # fmt: skip
    for y in (top + 12, horizon):
        draw.rectangle((0, y, width, y + 6), paint)
    for x in generator.uniform(0.05, 0.75, int(generator.integers(1, 4))) * width:
        high, wide = (int(height * fraction) for fraction in generator.uniform(0.15, 0.3, 2))
        left, top = int(x), int(height * generator.uniform(0.1, 0.5))
        draw.rectangle((left + wide // 2 - 4, top, left + wide // 2 + 4, height), (90, 92, 95))
        board(generator, image, (left, top, left + wide, top + high))


def table(generator, image) -> None:
    """Draws sheets of paper with small print on a table, among coloured scraps."""
    width, height = image.size
    fill(image, (0, 0, width, height), (wood, checkers, stripes, wood)[generator.integers(4)], generator)
    for _ in range(int(generator.integers(3, 7))):
        corners = int(generator.integers(3, 7))
        scrap = generator.uniform(0, 1, 2) + generator.uniform(-0.15, 0.15, (corners, 2))
        ImageDraw.Draw(image).polygon([tuple(p) for p in scrap * (width, height)], colour(generator))
    for _ in range(int(generator.integers(2, 5))):
        high, wide = (int(height * fraction) for fraction in generator.uniform(0.35, 0.6, 2))
        sheet = Image.new("RGBA", (wide, high), colour(generator, saturation=(0, 0.1), value=(0.85, 1)))
        pitch = int(generator.integers(20, 44))
        for y in range(pitch // 2, high - pitch, pitch):
            text = "  ".join(generator.choice(WORDS, 2))
            letter(ImageDraw.Draw(sheet), (8, y, wide - 8, y + pitch), text, (30, 30, 45))
        sheet = sheet.rotate(generator.uniform(-25, 25), Image.Resampling.BICUBIC, expand=True)
        left, top = (int(generator.uniform(0, room)) for room in (width - wide, height - high))
        image.paste(sheet, (left, top), sheet)


SCENES = (street, wall, park, table)


# Objects: each fills a transparent Pillow image


def ball(generator, image) -> None:
    """Draws a ball of two colours, lit from above."""
    draw = ImageDraw.Draw(image)
    side = min(image.size)
    draw.ellipse((0, 0, side - 1, side - 1), colour(generator, (0.4, 0.9), (0.5, 0.9)))
    draw.chord((0, 0, side - 1, side - 1), *sorted(generator.uniform(0, 360, 2)), colour(generator))
    draw.ellipse((0.25 * side, 0.15 * side, 0.45 * side, 0.3 * side), (250, 250, 245))


def car(generator, image) -> None:
    """Draws a car from its side, with a word on its door."""
    draw = ImageDraw.Draw(image)
    width, height = image.size
    paint = colour(generator, (0.3, 0.9), (0.35, 0.9))

    def scaled(*points):
        return [(width * x, height * y) for x, y in points]

    draw.polygon(scaled((0.2, 0.45), (0.32, 0.15), (0.7, 0.15), (0.83, 0.45)), paint)
    for corners in (((0.25, 0.43), (0.35, 0.2), (0.5, 0.2), (0.5, 0.43)),
                    ((0.53, 0.43), (0.53, 0.2), (0.68, 0.2), (0.77, 0.43))):  # fmt: skip
        draw.polygon(scaled(*corners), (45, 60, 75))
    draw.rounded_rectangle((0, 0.42 * height, width - 1, 0.82 * height), 0.1 * height, paint)
    draw.rectangle((0.95 * width, 0.5 * height, width - 1, 0.6 * height), (250, 240, 190))
    door = (0.25 * width, 0.45 * height, 0.75 * width, 0.75 * height)
    letter(draw, door, str(generator.choice(WORDS)), "white")
    for x in (0.22, 0.78):
        for radius, ink in ((0.2, (25, 25, 27)), (0.11, (170, 172, 178))):
            reach = radius * height
            centre = (x * width, 0.8 * height)
            draw.ellipse((centre[0] - reach, centre[1] - reach, centre[0] + reach, centre[1] + reach), ink)


def placard(generator, image) -> None:
    """Draws a sign that somebody carries past."""
    board(generator, image, (0, 0, image.size[0] - 1, image.size[1] - 1))


OBJECTS = (ball, car, placard)


# Light


def light(generator, image) -> np.ndarray:
    """Lights a drawn scene: a soft shadow, dark corners, grain, a lens: float32 [H, W, 3] in [0, 1]."""
    width, height = image.size
    along, across = slanted(generator, height, width)
    radius = np.hypot(along - along.mean(), across - across.mean()) / np.hypot(height, width)
    shadow = 0.8 + 0.5 * (fractal_noise(generator, height, width, cells=1, roughness=0.35) - 0.5)
    grain = 0.94 + 0.12 * fractal_noise(generator, height, width, cells=24, roughness=0.85)
    lit = np.asarray(image, np.float32) / 255 * ((shadow + 0.2) * grain * (1 - 0.8 * radius**2))[..., None]
    lit = 0.02 + generator.uniform(0.8, 1.0) * lit
    return np.clip(cv2.GaussianBlur(lit, (0, 0), 0.7), 0, 1).astype(np.float32)


def draw_background(generator, scene, height, width) -> np.ndarray:
    """Draws one of SCENES without objects: float32 [H, W, 3] in [0, 1]."""
    image = Image.new("RGB", (width, height))
    scene(generator, image)
    return light(generator, image)


def draw_object(generator, height, width, margin) -> np.ndarray:
    """Draws an object: float32 [H, W, 4] in [0, 1], colour times alpha, and alpha; clear at the margin."""
    image = Image.new("RGBA", (width - 2 * margin, height - 2 * margin))
    OBJECTS[generator.integers(len(OBJECTS))](generator, image)
    rgba = np.pad(np.asarray(image, np.float32) / 255, ((margin, margin), (margin, margin), (0, 0)))
    rgba[..., :3] *= rgba[..., 3:]
    return cv2.GaussianBlur(rgba, (0, 0), 0.7)
