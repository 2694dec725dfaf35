"""Class names in JSON, or in what Python prints."""

import ast
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from edgenet.errors import EdgenetError
from edgenet.images import label_table
from edgenet.images.line_numbers import counting_order

# What begins with these can be nothing else.
_BEGINNING = re.compile(r"\s*(\{|\[\s*(['\"\[{]|[0-9]+\s*[,\]]))")
# Keys that class names are under: those of Keras, PyTorch, Hugging Face, and of hand-made files.
_KEYS = (
    *("class_indices", "labels", "classes", "class_names", "label_names", "names", "categories"),
    *("idx_to_class", "id2label", "index_to_class", "class_to_idx", "label2id", "label_map", "labelmap"),
)
_EXPECTED = 'write ["cat", "dog"], {"cat": 0, "dog": 1} or {"0": "cat", "1": "dog"}'


def names(path: Path, text: str) -> list[str] | None:
    """The class names of a JSON text, in the order of the model's output; None if the text is no JSON.

    Raises:
        EdgenetError: The text begins as JSON does but is damaged, or has no class names.
    """
    if not (_BEGINNING.match(text) or (path.suffix.lower() == ".json" and text.strip())):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        try:
            value = ast.literal_eval(text.strip())  # with Python's quotation marks
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            if path.suffix.lower() != ".json" and not text.lstrip().startswith("{"):
                return None
            raise EdgenetError(f"{path}: not valid JSON ({error}); {_EXPECTED}") from None
    return from_value(path, value)


def from_value(path: Path | str, value: Any) -> list[str]:
    """The class names in lists and dictionaries as JSON has them, in the order of the model's output.

    Raises:
        EdgenetError: There are none, or their indices do not count them. `path` is where they are from.
    """
    if isinstance(value, Mapping):
        if value and all(_is_name(one) or _is_number(one) or _is_names(one) for one in value.values()):
            found = _of_indices(path, value)
            if found is not None:
                return found
        inner = next((value[key] for key in _KEYS if isinstance(value.get(key), Mapping | list)), None)
        if inner is None and len(value) == 1:
            inner = next(iter(value.values()))
        if isinstance(inner, Mapping | list):
            return from_value(path, inner)
        if value and all(_is_number(one) or _number(key) is not None for key, one in value.items()):
            _refuse_indices(path, value)
    elif isinstance(value, list | tuple) and value:
        if all(isinstance(one, Mapping) for one in value):
            columns = list(dict.fromkeys(str(key) for one in value for key in one))
            rows = [[str(one.get(key, "")) for key in columns] for one in value]
            if table := label_table.from_columns(path, columns, rows):
                return table.names
        elif all(_is_name(one) or _is_number(one) for one in value):
            return [str(one) for one in value]
    raise EdgenetError(f"{path}: no class names in this JSON file; {_EXPECTED}")


def _of_indices(path: Path | str, value: Mapping[Any, Any]) -> list[str] | None:
    """Names by their indices, or indices by their names; None if neither are all indices."""
    keys, values = list(value), list(value.values())
    # Folders may have numbers for names, so that of two numbers the one that is none in JSON is the name.
    both = [(values, keys), (keys, values)] if all(map(_is_number, values)) else [(keys, values), (values, keys)]
    for numbers, texts in both:
        indices = [_number(one) for one in numbers]
        known = [index for index in indices if index is not None]
        if len(known) == len(indices) and (order := counting_order(known)):
            return [_text(texts[index]) for index in order]
    return None


def _refuse_indices(path: Path | str, value: Mapping[Any, Any]) -> NoReturn:
    by_name = all(_is_number(one) for one in value.values())
    indices = list(value.values()) if by_name else [_number(key) for key in value]
    wrong = next((index for index in range(len(indices)) if index not in indices), None)
    raise EdgenetError(
        f"{path}: expected the indices 0 to {len(indices) - 1:,}, each once; {wrong} is missing. Add the class"
    )


def _text(name: Any) -> str:
    # ImageNet's file has pairs of an identifier and a name.
    return str(name[-1] if _is_names(name) else name).strip()


def _is_names(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str) and bool(value) and all(map(_is_name, value))


def _is_name(value: Any) -> bool:
    return isinstance(value, str)


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(value: Any) -> int | None:
    """An index; None for what is none."""
    if _is_number(value):
        return int(value)
    return int(value) if isinstance(value, str) and re.fullmatch(r"\s*[0-9]{1,9}\s*", value) else None
