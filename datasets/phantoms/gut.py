"""The digestive tract in endoscopy: its wall, landmarks and lesions, and the traces of the camera."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from .canvas import SIZE, X, Y, blob, dots, noise, paint, rgb, scatter, sigmoid, stroke
from .lesion import cover_lesion, paint_lesion

Point = tuple[float, float]


def _distance_and_direction(rng: Generator, centre: Point, corners: int, wave: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the distance of each pixel from the lumen at `centre`, and its direction as a complex number.

    The lumen has `corners` corners, whose size is `wave`.
    """
    dx, dy = X - centre[0], Y - centre[1]
    distance = np.hypot(dx, dy) + 1e-3
    way = (dx + 1j * dy) / distance
    turned = way**corners * np.exp(1j * rng.uniform(0, 6.3))
    return distance * (1 + wave * turned.real) + 0.03 * noise(rng, 4), way


def light_close_up(rng: Generator, image: np.ndarray) -> np.ndarray:
    """Light a wall with shallow undulations from the front."""
    x, y = rng.uniform(-0.5, 0.5, 2)
    return image * (1 - 0.2 * np.hypot(X - x, Y - y) + 0.1 * noise(rng, 3))[..., None]


def draw_haustra(rng: Generator, image: np.ndarray) -> np.ndarray:
    """Draw folds as steps of light towards a dark three-cornered lumen."""
    distance, way = _distance_and_direction(rng, tuple(rng.uniform(-0.5, 0.5, 2)), 3, rng.uniform(0.1, 0.2))
    turn = (way * np.exp(1j * rng.uniform(0, 6.3))).real
    step = (np.log(distance.clip(0.05)) * rng.uniform(1.4, 2.1) + rng.uniform(0, 1) + 0.12 * turn) % 1
    half = 0.7 + 0.4 * (way**2 * np.exp(1j * rng.uniform(0, 6.3))).real  # a fold is high on one side only
    light = 1 - half * (0.5 * np.exp(-step / 0.22) - 0.22 * np.exp(-(((step - 0.86) / 0.16) ** 2)))
    light = light * np.clip(0.1 + distance, 0, 1) ** 0.5 * (0.05 + 0.95 * sigmoid((distance - 0.2) / 0.05))
    return image * light[..., None]


def draw_blind_pouch(rng: Generator, image: np.ndarray, crescent: bool) -> np.ndarray:
    """Draw three folds that meet at the blind end; `crescent` adds a curved slit between them."""
    (x, y), start = rng.uniform(-0.25, 0.25, 2), rng.uniform(0, 6.3)
    distance, _ = _distance_and_direction(rng, (x, y), 3, 0.1)
    image = image * (1 - 0.25 * np.exp(-((distance / 0.45) ** 2)))[..., None]
    for i in range(3):
        angle, bend = start + i * 2.09 + rng.uniform(-0.25, 0.25), rng.uniform(-0.35, 0.35)
        sin, cos = np.sin(angle), np.cos(angle)
        shadow = stroke(x + 0.2 * cos + 0.1 * sin, y + 0.2 * sin - 0.1 * cos, angle, 1.6, 0.12, bend)
        image = image * (1 - 0.55 * shadow[..., None])
        ridge = stroke(x + 0.16 * cos, y + 0.16 * sin, angle, 1.6, 0.09, bend)
        image = paint(image, ridge * 0.75, image.max((0, 1)))
    return image if not crescent else add_slit(rng, image, (x, y), rng.uniform(0.2, 0.28))


def add_slit(rng: Generator, image: np.ndarray, centre: Point, radius: float) -> np.ndarray:
    """Add a dimple with a dark crescent on one side and a bright lip."""
    angle = rng.uniform(0, 6.3)
    mask, depth = blob(rng, *centre, radius, radius * 0.8, angle, 0.06)
    side = sigmoid(((X - centre[0]) * np.cos(angle) + (Y - centre[1]) * np.sin(angle)) / 0.05)
    image = paint(image, mask * 0.8, image.max((0, 1)))
    return paint(image, np.exp(-(((depth - 0.85) / 0.24) ** 2)) * side, (0.1, 0.02, 0.02))


def draw_junction(rng: Generator, image: np.ndarray, line: str, opened: bool) -> np.ndarray:
    """Draw a pale tube above a salmon-red lining.

    Args:
        rng: random numbers.
        image: colour picture.
        line: the border between the two: "sharp_line", "ragged_line", or "" for a blurred one.
        opened: a wide dark lumen.
    """
    centre = tuple(rng.uniform(-0.25, 0.25, 2))
    distance, way = _distance_and_direction(rng, centre, 2, rng.uniform(0.05, 0.15))
    border, soft = rng.uniform(0.5, 0.66), 0.18
    if line == "ragged_line":
        teeth = way ** int(rng.integers(4, 7)) * np.exp(1j * rng.uniform(0, 6.3))
        border, soft = border + 0.15 * teeth.real + 0.07 * noise(rng, 9), 0.06
    elif line == "sharp_line":
        soft = 0.02
    inner = sigmoid((border - distance) / soft)
    image = paint(image, (1 - inner) * 0.9, rgb(rng, (0.92, 0.99), (0.7, 0.8), (0.64, 0.74)))
    image = paint(image, inner * 0.85, rgb(rng, (0.76, 0.86), (0.3, 0.38), (0.22, 0.3)))
    if line == "sharp_line":
        image = paint(image, np.exp(-(((distance - border) / 0.035) ** 2)) * 0.6, (0.99, 0.88, 0.84))
    hole, soft = (rng.uniform(0.24, 0.34), 0.02) if opened else (rng.uniform(0.08, 0.2), 0.06)
    return image * (0.06 + 0.94 * sigmoid((distance - hole) / soft))[..., None]


def draw_antrum(rng: Generator, image: np.ndarray, opened: bool) -> np.ndarray:
    """Draw a smooth wall in wide rings around a thick rim, whose outlet is open or closed."""
    centre = tuple(rng.uniform(-0.35, 0.35, 2))
    distance, way = _distance_and_direction(rng, centre, 2, 0.06)
    rim = rng.uniform(0.26, 0.4)
    rings = 1 + 0.12 * np.cos((distance - rim) * rng.uniform(9, 13))
    rings -= 0.34 * np.exp(-(((distance - rim * 1.5) / 0.1) ** 2))
    image = image * (rings * (0.75 + 0.35 * np.exp(-(((distance - rim) / 0.12) ** 2))))[..., None]
    if opened:
        return image * (0.06 + 0.94 * sigmoid((distance - rim * rng.uniform(0.5, 0.75)) / 0.03))[..., None]
    folds = (way ** int(rng.integers(4, 7)) * np.exp(1j * rng.uniform(0, 6.3))).real
    return image * (1 - 0.5 * np.exp(-((distance / rim) ** 2)) * folds.clip(0, 1))[..., None]


def add_valve(rng: Generator, image: np.ndarray) -> np.ndarray:
    """Add two thick yellowish lips at the side, with a slit between them."""
    angle = rng.uniform(0, 6.3)
    x, y = 0.72 * np.cos(angle), 0.72 * np.sin(angle)
    image = image * (1 - 0.5 * blob(rng, x * 0.93, y * 0.93, 0.3, 0.5, angle, 0.05, 0.15)[0][..., None])
    lips, depth = blob(rng, x, y, 0.24, 0.42, angle, 0.06, 0.08)
    image = paint(image, lips * 0.95, np.array((0.97, 0.76, 0.42)) * (1.1 - 0.3 * depth.clip(0, 1))[..., None])
    return paint(image, blob(rng, x, y, 0.045, 0.26, angle, 0.1, 0.3)[0] * 0.9, (0.3, 0.1, 0.06))


def add_vessels(rng: Generator, image: np.ndarray) -> np.ndarray:
    """Add vessels with branches that shine through the wall."""
    for _ in range(int(rng.integers(3, 6))):
        (x, y), angle, bend = rng.uniform(-0.9, 0.9, 2), rng.uniform(0, 6.3), rng.uniform(-0.7, 0.7)
        image = paint(image, stroke(x, y, angle, 0.9, 0.034, bend) * 0.7, (0.6, 0.14, 0.14))
        for turn in (-0.6, 0.5):
            line = stroke(x + 0.3 * np.cos(angle), y + 0.3 * np.sin(angle), angle + turn, 0.45, 0.025, -bend)
            image = paint(image, line * 0.65, (0.6, 0.14, 0.14))
    return image


def add_erosions(rng: Generator, image: np.ndarray) -> np.ndarray:
    """Add red streaks that run outwards."""
    start, count = rng.uniform(0, 6.3), int(rng.integers(3, 6))
    for i in range(count):
        angle, near = start + 6.28 * (i + rng.uniform(-0.3, 0.3)) / count, rng.uniform(0.3, 0.5)
        length, width = rng.uniform(0.3, 0.5), rng.uniform(0.05, 0.08)
        line = stroke(near * np.cos(angle), near * np.sin(angle), angle, length, width, rng.uniform(-0.5, 0.5))
        image = paint_lesion(image, line * 0.9, (0.7, 0.08, 0.08), line)
    return image


def add_wound(rng: Generator, image: np.ndarray, cut: bool, burnt: bool) -> np.ndarray:
    """Add a cut-out bed with a dark edge (`cut`), and burn marks on its edge, or anywhere without a bed (`burnt`)."""
    (x, y), (rx, ry) = rng.uniform(-0.3, 0.3, 2), rng.uniform(0.32, 0.54, 2)
    bed, depth = blob(rng, x, y, rx, ry, 0.0, 0.16, 0.05)
    if cut:
        bare = rgb(rng, (0.72, 0.85), (0.7, 0.8), (0.72, 0.88)) * (1 + 0.1 * noise(rng, 10))[..., None]
        image = paint_lesion(image, bed * 0.95, bare, bed)
        image = paint_lesion(image, np.exp(-(((depth - 1) / 0.08) ** 2)) * 0.9, (0.4, 0.14, 0.14))
    if burnt:
        burns = scatter(rng, np.abs(depth - 1) < 0.15 if cut else np.hypot(X, Y) < 0.8, int(rng.integers(7, 12)))
        pale = dots(rng, burns, 0.12, 0.4, 0.5)
        image = paint_lesion(image, pale * 0.9, (0.97, 0.93, 0.84), pale)
        char = dots(rng, burns + rng.uniform(-0.05, 0.05, burns.shape), 0.05, 0.4, 0.5)
        image = paint_lesion(image, char * 0.7, (0.3, 0.15, 0.06), char)
    return image


def add_growth(
    rng: Generator, image: np.ndarray, stalked: bool, lobulated: bool, colour: tuple[float, float, float] | None
) -> np.ndarray:
    """Add a lesion that rises from the wall, broad or on a stalk, with a shadow; `colour` is a dye around its foot."""
    (x, y), angle, radius = rng.uniform(-0.35, 0.35, 2), rng.uniform(0, 3.1), rng.uniform(0.3, 0.5)
    if stalked:
        radius, lean, bend = radius * 0.72, rng.uniform(0, 6.3), rng.uniform(-0.4, 0.4)
        image = image * (1 - 0.6 * stroke(x + 0.09, y + 0.09, lean, 1.0, 0.17, bend)[..., None])
        image = paint_lesion(image, stroke(x, y, lean, 1.0, 0.13, bend) * 0.95, (0.95, 0.66, 0.56))
    rx, ry = radius * rng.uniform(0.9, 1.15), radius * rng.uniform(0.75, 1.0)
    shadow, _ = blob(rng, x + 0.1, y + 0.12, rx * 1.15, ry * 1.15, angle, 0.05, 0.15)
    image = image * (1 - 0.5 * shadow[..., None])
    head, depth = blob(rng, x, y, rx, ry, angle, 0.06, 0.05)
    light = 1.15 - 0.4 * np.hypot(X - x + 0.35 * rx, Y - y + 0.35 * ry) / radius
    if lobulated:
        light = light - 0.6 * np.exp(-((noise(rng, 14) / 0.3) ** 2))
    image = paint_lesion(image, head, rgb(rng, (0.8, 0.95), (0.4, 0.55), (0.36, 0.48)) * light[..., None])
    if colour:
        image = paint_lesion(image, head * sigmoid((depth - rng.uniform(0.5, 0.75)) / 0.1) * 0.8, colour)
    return image


def add_camera_traces(rng: Generator, image: np.ndarray) -> np.ndarray:
    """Add reflections of the lamp, dark corners, and sometimes the green inset of a position finder."""
    lit = image.mean(2)
    spots = scatter(rng, lit > np.quantile(lit, 0.6), int(rng.integers(3, 12)))
    image = paint(image, dots(rng, spots, 0.035, 0.5, 0.6) * 0.85, (1.0, 0.98, 0.96))
    reach = (np.abs(X) ** 4 + np.abs(Y) ** 4) ** 0.25 * 0.6 + 0.4 * np.hypot(X, Y)
    field = sigmoid((rng.uniform(0.98, 1.12) - reach) / 0.015)
    image = image * field[..., None]
    cover_lesion(1 - field)
    if rng.random() < 0.3:
        inset = np.zeros((SIZE, SIZE), bool)
        inset[-16:, :16] = True
        image[inset] = (0.1, 0.32, 0.14)
        cover_lesion(inset)
        image = paint(image, stroke(-0.9, 0.9, rng.uniform(-1.4, 0), 0.3, 0.03, rng.uniform(-2, 2)), (0.6, 0.75, 0.3))
    return image
