"""Any text as a string literal of a language, so that a label can neither end the string nor start an expression."""

from __future__ import annotations

from collections.abc import Callable

_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def python(text: str) -> str:
    """A Python string literal."""
    return '"' + "".join(_escaped(sign, '"\\', lambda code: f"\\U{code:08x}") for sign in text) + '"'


def cpp(text: str) -> str:
    """A C++ literal of the text's UTF-8 bytes; octal escapes end by themselves, and no trigraph is left."""
    return '"' + "".join(_byte(byte) for byte in text.encode()) + '"'


def kotlin(text: str) -> str:
    """A Kotlin literal, in which `$` starts no template."""
    return '"' + "".join(_escaped(sign, '"\\$', _utf16) for sign in text) + '"'


def swift(text: str) -> str:
    r"""A Swift literal, in which `\(` starts no interpolation."""
    return '"' + "".join(_escaped(sign, '"\\', lambda code: f"\\u{{{code:x}}}") for sign in text) + '"'


def number(value: float) -> str:
    """A number with a point or an exponent, shortest form that reads back as the same double, in all the languages."""
    return repr(float(value))


def _escaped(sign: str, special: str, code: Callable[[int], str]) -> str:
    if sign in special:
        return "\\" + sign
    if sign in _SHORT:
        return _SHORT[sign]
    return sign if sign.isprintable() else code(ord(sign))


def _utf16(code: int) -> str:
    units = chr(code).encode("utf-16-be")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))


def _byte(byte: int) -> str:
    if chr(byte) in '"\\?':
        return "\\" + chr(byte)
    return chr(byte) if 32 <= byte < 127 else f"\\{byte:03o}"


def rows(content: bytes, width: int = 16) -> str:
    """Bytes as lines of numbers for an array in C."""
    return "\n".join(
        "    " + " ".join(f"{byte}," for byte in content[start : start + width])
        for start in range(0, len(content), width)
    )
