"""Draws pages that look typed, for the examples: characters from strokes of our own, a red head, a round seal.

Everything is drawn into two layers, ink and red, and written as a PNG with a palette; standard library only.
"""

import itertools
import math
import random
import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from strokes import STROKES

WIDTH, HEIGHT = 744, 1052  # pixels: A4 at 90 dpi
EM = 20.0  # the strokes stand in a square of this size
_LEVELS = 8  # of ink, and of red; with 4 shades of paper they fill a palette of 256

Point = tuple[float, float]


class Page:
    """A sheet of paper with two layers of coverage, each from 0 (none) to 1 (full)."""

    def __init__(self, seed: int) -> None:
        self.noise = random.Random(seed)  # noqa: S311 - paper grain, not a secret
        self.ink = [0.0] * (WIDTH * HEIGHT)
        self.red = [0.0] * (WIDTH * HEIGHT)

    def line(self, layer: list[float], start: Point, end: Point, *, width: float, strength: float = 1.0) -> None:
        """Draw a segment with round ends and soft edges."""
        (x0, y0), (x1, y1) = start, end
        dx, dy = x1 - x0, y1 - y0
        length = dx * dx + dy * dy
        reach = width / 2 + 1
        for y in range(max(0, int(min(y0, y1) - reach)), min(HEIGHT, int(max(y0, y1) + reach) + 2)):
            for x in range(max(0, int(min(x0, x1) - reach)), min(WIDTH, int(max(x0, x1) + reach) + 2)):
                along = min(1.0, max(0.0, ((x - x0) * dx + (y - y0) * dy) / length)) if length else 0.0
                distance = math.hypot(x - x0 - along * dx, y - y0 - along * dy)
                cover = min(1.0, max(0.0, width / 2 + 0.5 - distance)) * strength
                at = y * WIDTH + x
                layer[at] = max(layer[at], cover)

    def path(self, layer: list[float], points: Iterable[Point], *, width: float, strength: float = 1.0) -> None:
        """Draw segments from point to point."""
        for start, end in itertools.pairwise(points):
            self.line(layer, start, end, width=width, strength=strength)

    def character(
        self, layer: list[float], sign: str, at: Point, *, size: float, width: float, turn: float = 0.0
    ) -> None:
        """Draw a character whose square has its middle at a point, turned by an angle in radians.

        Raises:
            KeyError: it has no strokes.
        """
        scale = size / EM
        cos, sin = math.cos(turn), math.sin(turn)
        strength = self.noise.uniform(0.8, 1.0) if layer is self.ink else 1.0  # a typewriter's unequal blows
        for stroke in STROKES[sign]:
            placed = []
            for x, y in stroke:
                u, v = (x - EM / 2) * scale, (y - EM / 2) * scale
                placed.append((at[0] + u * cos - v * sin, at[1] + u * sin + v * cos))
            self.path(layer, placed, width=width, strength=strength)

    def text(
        self, layer: list[float], words: str, at: Point, *, size: float, width: float, spacing: float = 1.12
    ) -> None:
        """Type characters from left to right, the first in a full cell around the point; digits are narrower."""
        x, y = at[0] - size * spacing / 2, at[1]
        for sign in words:
            cell = size * spacing * (0.62 if sign.isascii() else 1.0)
            if sign != " ":
                shake = self.noise.uniform(-0.35, 0.35) if layer is self.ink else 0.0
                self.character(layer, sign, (x + cell / 2, y + shake), size=size, width=width)
            x += cell

    def circle(self, layer: list[float], middle: Point, radius: float, *, width: float) -> None:
        """Draw a circle."""
        around = (2 * math.pi * step / 96 for step in range(97))
        self.path(
            layer, ((middle[0] + radius * math.cos(a), middle[1] + radius * math.sin(a)) for a in around), width=width
        )

    def star(self, layer: list[float], middle: Point, radius: float) -> None:
        """Draw a filled star of five points."""
        corners = []
        for step in range(10):
            reach = radius if step % 2 == 0 else radius * 0.382
            angle = -math.pi / 2 + step * math.pi / 5
            corners.append((middle[0] + reach * math.cos(angle), middle[1] + reach * math.sin(angle)))
        for x, y in corners:
            self.line(layer, middle, (x, y), width=2)
        for y in range(int(middle[1] - radius), int(middle[1] + radius) + 1):
            for x in range(int(middle[0] - radius), int(middle[0] + radius) + 1):
                if _inside(x, y, corners):
                    layer[y * WIDTH + x] = 1.0

    def write_png(self, path: Path) -> None:
        """Write the page, a palette image of 256 colours."""
        shades = list(self._paper())
        rows = bytearray()
        for y in range(HEIGHT):
            rows.append(0)  # filter: none
            for at in range(y * WIDTH, (y + 1) * WIDTH):
                ink = round(self.ink[at] * (_LEVELS - 1))
                red = round(self.red[at] * (_LEVELS - 1))
                rows.append(shades[at] * _LEVELS * _LEVELS + ink * _LEVELS + red)
        header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 3, 0, 0, 0)
        dots_per_metre = struct.pack(">IIB", 3543, 3543, 1)
        path.write_bytes(
            b"\x89PNG\r\n\x1a\n"
            + _chunk(b"IHDR", header)
            + _chunk(b"pHYs", dots_per_metre)
            + _chunk(b"PLTE", bytes(_palette()))
            + _chunk(b"IDAT", zlib.compress(bytes(rows), 9))
            + _chunk(b"IEND", b"")
        )

    def _paper(self) -> Iterator[int]:
        """The shade of the paper at each pixel: a little darker to the edges, and in a stain or two."""
        stains = [
            (self.noise.uniform(0, WIDTH), self.noise.uniform(0, HEIGHT), self.noise.uniform(60, 150))
            for _ in range(3)
        ]
        edges = []
        for y in range(HEIGHT):
            for x in range(WIDTH):
                edge = min(x, y, WIDTH - 1 - x, HEIGHT - 1 - y)
                shade = max(0.0, 1.0 - edge / 40) ** 1.5
                for sx, sy, radius in stains:
                    near = abs(math.hypot(x - sx, y - sy) - radius)
                    shade += max(0.0, 0.4 - near / 12)
                grain = self.noise.random() if shade else 0.0  # a soft border out of four shades
                edges.append(min(3, int(shade * 3 + grain)))
        yield from edges


def _inside(x: float, y: float, corners: list[Point]) -> bool:
    """Whether a point lies in a polygon: a ray from it crosses the edges an odd number of times."""
    odd = False
    for (x0, y0), (x1, y1) in zip(corners, [*corners[1:], corners[0]], strict=True):
        if (y0 > y) != (y1 > y) and x < (x1 - x0) * (y - y0) / (y1 - y0) + x0:
            odd = not odd
    return odd


def _palette() -> Iterator[int]:
    papers = [(247, 241, 226), (243, 235, 216), (238, 228, 205), (231, 219, 193)]
    ink, red = (38, 36, 42), (200, 32, 38)
    for paper in papers:
        for ink_level in range(_LEVELS):
            for red_level in range(_LEVELS):
                for channel in range(3):
                    colour = paper[channel] + (red[channel] - paper[channel]) * red_level / (_LEVELS - 1)
                    yield round(colour + (ink[channel] - colour) * ink_level / (_LEVELS - 1))


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
