"""Seeded damage inside .tflite files, which a checker of flatbuffers does not see."""

import numpy as np
from archive_mutations import zip_members
from mutations import Random, choose, damaged


def tflite_value(data: bytes, random: Random) -> tuple[str, bytes]:
    """A .tflite file that is a sound flatbuffer, with another value in one place of the model."""
    from edgenet.tflite import flatbuffer

    model = flatbuffer.read(data)
    places = list(_fields(model, "model"))
    # Few lie in the operators, and many in the tensors' quantization: the field's kind is chosen first.
    kinds = sorted({name for name, _, _ in places})
    kind = choose(random, kinds)
    name, owner, attribute = choose(random, [place for place in places if place[0] == kind])
    value = getattr(owner, attribute)
    strange = (-1, 0, 1, 2, 7, 127, 1000, 2**31 - 1, -(2**31))
    if value is None or hasattr(value, "__dict__"):
        new = None
    elif isinstance(value, bool):
        new = not value
    elif isinstance(value, int | np.integer):
        new = choose(random, [number for number in strange if number >= 0 or value < 0] + [value + 1])
        limit = 127 if abs(int(value)) < 128 and attribute not in ("buffer", "opcodeIndex", "version") else 2**31 - 1
        new = min(int(new), limit)
    elif isinstance(value, float | np.floating):
        new = choose(random, (0.0, -1.0, float("nan"), float("inf"), 1e38, 1e-38))
    elif isinstance(value, bytes):
        new = choose(random, (b"", b"\xff\xfe", b"a" * 100_000, b"\0", b"a\nb"))
    else:
        new = _strange_vector(list(value), strange, random)
    setattr(owner, attribute, new)
    tail = data.find(b"PK\x03\x04")  # the class names, zipped
    return f"value {name.removeprefix('model.')}", flatbuffer.write(model) + (data[tail:] if tail >= 0 else b"")


def _strange_vector(values: list, strange: tuple[int, ...], random: Random) -> list | np.ndarray:
    """A vector with one more or less, or another value."""
    kind = choose(random, ("one more", "one less", "empty", "value", "value", "reverse"))
    numbers = bool(values) and isinstance(values[0], int | float | np.number)
    if kind == "empty" or not values:
        return []
    if kind == "one less":
        return values[:-1]
    if kind == "one more":
        return [*values, values[0]]
    if kind == "reverse" or not numbers:
        return values[::-1]
    place = int(random.integers(len(values)))
    if isinstance(values[0], np.uint8):
        values[place] = np.uint8(random.integers(256))
        return np.array(values, np.uint8)
    whole = isinstance(values[0], int | np.integer)
    values[place] = choose(random, strange if whole else (0.0, -1.0, float("nan"), float("inf"), 1e38))
    return values


def _fields(part, name: str):
    """The fields of a model's objects: their name, owner and attribute."""
    for attribute, value in vars(part).items():
        if isinstance(value, list) and value and hasattr(value[0], "__dict__"):
            for item in value:
                yield from _fields(item, f"{name}.{attribute}")
        elif hasattr(value, "__dict__"):
            yield from _fields(value, f"{name}.{attribute}")
        yield f"{name}.{attribute}", part, attribute


def tflite_tail(data: bytes, random: Random) -> tuple[str, bytes]:
    """A .tflite file whose class names, a zip behind the model, are damaged."""
    start = data.find(b"PK\x03\x04")
    if start < 0:
        return damaged(data, random)
    kind, packed = zip_members(data[start:], random)
    return f"tail {kind}", data[:start] + packed
