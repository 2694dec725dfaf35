"""Where each key and value of a TOML file is, which `tomllib` does not say: https://toml.io/en/v1.0.0"""

import re
from bisect import bisect_right

# The way to a value: keys of tables, and indices of arrays from 0 up.
Place = tuple[str | int, ...]

_BLANK = " \t\r\n"
_BARE = re.compile(r"[^\s=.\[\]{}#,\"']+")
_END_OF_SCALAR = re.compile(r"[,\]}#\n]")
_ESCAPE = re.compile(r'\\(u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[btnfre"\\])')
_ESCAPES = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", "e": "\x1b", '"': '"', "\\": "\\"}


class Lines:
    """The lines of a TOML file that `tomllib` has read: what is not TOML gives wrong lines, but no error.

    Args:
        text: The file's text.
    """

    def __init__(self, text: str):
        self._places: dict[Place, int] = {}
        self._text = text
        self._starts = [match.end() for match in re.finditer("^", text, re.MULTILINE)]
        self._position = 0
        self._arrays: dict[Place, int] = {}
        self._document()

    def line(self, place: Place) -> int:
        """The line of a key or of an element of an array, from 1 up; where there is none, of what it would be in."""
        while place and place not in self._places:
            place = place[:-1]
        return self._places.get(place, 1)

    def _note(self, place: Place, position: int) -> None:
        self._places.setdefault(place, bisect_right(self._starts, position))

    def _document(self) -> None:
        table: Place = ()
        while self._skip():
            before = self._position
            if self._text.startswith("[", self._position):
                table = self._header()
            else:
                self._pair(table)
            if self._position == before:  # not TOML
                return

    def _skip(self) -> bool:
        """Go on to what is not blank and no comment. Returns whether there is anything."""
        text = self._text
        while self._position < len(text):
            if text[self._position] == "#":
                end = text.find("\n", self._position)
                self._position = len(text) if end < 0 else end
            elif text[self._position] in _BLANK:
                self._position += 1
            else:
                return True
        return False

    def _take(self, token: str) -> bool:
        found = self._text.startswith(token, self._position)
        if found:
            self._position += len(token)
        return found

    def _header(self) -> Place:
        start = self._position
        is_array = self._take("[[")
        if not is_array:
            self._take("[")
        names = self._key()
        self._take("]]" if is_array else "]")
        place: Place = ()
        for name in names[:-1]:
            place = self._entered((*place, name), start)
        place = (*place, *names[-1:])
        if is_array:
            self._note(place, start)
            self._arrays[place] = self._arrays.get(place, -1) + 1
        place = self._entered(place, start)
        return place

    def _entered(self, place: Place, position: int) -> Place:
        """A table, or the last table of an array of them."""
        self._note(place, position)
        if place in self._arrays:
            place = (*place, self._arrays[place])
            self._note(place, position)
        return place

    def _key(self) -> list[str]:
        names = []
        while self._skip():
            if self._text[self._position] in "\"'":
                names.append(self._string())
            elif match := _BARE.match(self._text, self._position):
                self._position = match.end()
                names.append(match[0])
            else:
                break
            self._skip()
            if not self._take("."):
                break
        return names

    def _pair(self, table: Place) -> None:
        start = self._position
        place = table
        for name in self._key():
            place = (*place, name)
            self._note(place, start)
        self._skip()
        if self._take("="):
            self._value(place)

    def _value(self, place: Place) -> None:
        if not self._skip():
            return
        self._note(place, self._position)
        if self._text[self._position] in "\"'":
            self._string()
        elif self._take("["):
            self._elements(place)
        elif self._take("{"):
            while self._skip() and not self._take("}"):
                before = self._position
                self._pair(place)
                self._skip()
                if not self._take(",") and self._position == before:
                    return
        else:
            match = _END_OF_SCALAR.search(self._text, self._position)
            self._position = match.start() if match else len(self._text)

    def _elements(self, place: Place) -> None:
        index = 0
        while self._skip() and not self._take("]"):
            before = self._position
            self._value((*place, index))
            self._skip()
            if not self._take(",") and self._position == before:
                return
            index += 1

    def _string(self) -> str:
        """Go on behind a string. Returns its value, as far as keys can have it."""
        text, quote = self._text, self._text[self._position]
        mark = quote * 3 if text.startswith(quote * 3, self._position) else quote
        start = position = self._position + len(mark)
        while position < len(text) and not text.startswith(mark, position):
            position += 2 if quote == '"' and text[position] == "\\" else 1
        value = text[start:position]
        position += len(mark)
        # Up to two quotation marks may stand in front of the closing three.
        while len(mark) == 3 and text.startswith(quote, position):
            position += 1
        self._position = min(position, len(text))
        return _ESCAPE.sub(_unescaped, value) if quote == '"' else value


def _unescaped(found: re.Match[str]) -> str:
    code = found[1]
    if code[0] in "uU":
        number = int(code[1:], 16)
        return chr(number) if number <= 0x10FFFF else "?"
    return _ESCAPES[code]
