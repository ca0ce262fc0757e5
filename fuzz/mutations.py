"""Inputs near the seeds, for where coverage guides nothing: repeatable by their number."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence

_NUMBERS = (0, 1, 2, 7, 8, 9, 10, 13, 32, 34, 39, 47, 48, 58, 92, 127, 128, 254, 255)
_WIDE = (0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x7FFFFFFFFFFFFFFF, 0xFFFFFFFFFFFFFFFF)


def mutations(
    seeds: Sequence[bytes], count: int | None, seed: int, longest: int
) -> Iterator[bytes]:
    """``count`` inputs (endless if that is ``None``), none longer than ``longest``."""
    for number in itertools.count() if count is None else range(count):
        choose = random.Random(f"{seed} {number}")
        data = bytearray(choose.choice(seeds))
        for _ in range(choose.choice((1, 1, 1, 2, 3, 5, 8, 20))):
            _change(data, choose, seeds)
        yield bytes(data[:longest])


def _change(data: bytearray, choose: random.Random, seeds: Sequence[bytes]) -> None:
    at = choose.randrange(len(data) + 1)
    length = choose.choice((1, 1, 2, 4, 8, 16, 100, 512))
    match choose.randrange(8):
        case 0:
            data[at : at + 1] = bytes([choose.choice(_NUMBERS)])
        case 1:
            data[at : at + 1] = bytes([choose.randrange(256)])
        case 2:
            del data[at : at + length]
        case 3:
            data[at:at] = data[at : at + length] * choose.choice((1, 2, 16))
        case 4:
            width, order = choose.choice((2, 4, 8)), choose.choice(("little", "big"))
            number = choose.choice((*_WIDE, len(data), len(data) - at)) % (1 << 8 * width)
            data[at : at + width] = number.to_bytes(width, order)  # type: ignore[arg-type]
        case 5:
            other = choose.choice(seeds)
            start = choose.randrange(len(other) + 1)
            data[at : at + length] = other[start : start + length]
        case 6:
            digits = [n for n in range(len(data)) if 48 <= data[n] < 58]
            if digits:
                data[choose.choice(digits)] = choose.choice(b"0123456789-. ")
        case _:
            del data[at:]
