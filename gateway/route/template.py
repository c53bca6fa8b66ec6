"""Decides what a google.api.http path template means, and how what it captures is decoded.

The grammar is google/api/http.proto's:

    Template = "/" Segments [ Verb ] ;
    Segments = Segment { "/" Segment } ;
    Segment  = "*" | "**" | LITERAL | Variable ;
    Variable = "{" FieldPath [ "=" Segments ] "}" ;
    FieldPath = IDENT { "." IDENT } ;
    Verb     = ":" LITERAL ;

Beyond it, "/" alone is accepted as the path with no segments: the grammar has no word for the root.

One thing the text forbids is accepted too. `**` "must be the last part of the URL path except the `Verb`", yet Google's
own Firestore, KMS and others put fixed segments after it: `/v1/{parent=projects/*/documents/**}/{collection_id}`. Where
the `**` stands only once, what comes after it is counted from the end of the path and nothing is ambiguous.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes

_IDENT: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LITERAL: Final = re.compile(r"[^/:*{}?#\x00-\x1f\x7f]+")
_MALFORMED: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_SLASH: Final = re.compile(r"%(2[Ff])")


class Kind(enum.Enum):
    """What one segment of a template accepts."""

    LITERAL = "literal"
    ONE = "*"
    REST = "**"


class Segment(NamedTuple):
    """One segment; `text` is a literal's percent-decoded text, and empty for the wildcards."""

    kind: Kind
    text: str = ""

    def __str__(self) -> str:
        return self.text if self.kind is Kind.LITERAL else self.kind.value


class Variable(NamedTuple):
    """A field bound by the path: where its value stands among the segments."""

    path: tuple[str, ...]
    """Field names from the request message, as the proto spells them."""
    start: int
    end: int | None
    """One past the last of the template's segments captured; None for a variable that ends in `**` where the template
    ends, and takes all that is left."""
    multi: bool
    """Whether it is not "exactly one path segment", which changes how its value is decoded."""


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed path template. Two templates with the same `shape` match the same paths."""

    source: str
    segments: tuple[Segment, ...]
    variables: tuple[Variable, ...]
    verb: str

    @property
    def shape(self) -> tuple[tuple[Segment, ...], str]:
        return self.segments, self.verb

    def __str__(self) -> str:
        return self.source


class TemplateError(ValueError):
    """A template that breaks the grammar; `column` counts characters from 1."""

    def __init__(self, source: str, column: int, text: str) -> None:
        super().__init__(f'"{source}" column {column}: {text}')
        self.column = column


def read(source: str) -> Template:
    """Parse a path template; raise TemplateError at the first character that breaks the grammar."""
    return _Reader(source).template()


def decode(raw: str, *, multi: bool) -> str:
    """Return a captured piece of path as the field's text; raise ValueError when it is not encoded UTF-8."""
    if "%" not in raw and raw.isascii():
        return raw
    if _MALFORMED.search(raw):
        raise ValueError(f'"{raw}": a percent sign must be followed by two hexadecimal digits')
    if multi:
        # "If a variable contains multiple path segments [...] The server side does the reverse decoding,
        # except "%2F" and "%2f" are left unchanged." - google/api/http.proto
        raw = _SLASH.sub(r"%25\1", raw)
    # "If a variable contains exactly one path segment, such as "{var}" or "{var=*}", when such a variable is
    # expanded into a URL path on the client side, all characters except [-_.~0-9a-zA-Z] are percent-encoded.
    # The server side does the reverse decoding." - google/api/http.proto
    try:
        return unquote_to_bytes(raw.encode("utf-8", "surrogateescape")).decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError(f'"{raw}": is not UTF-8 once percent-decoded') from None


def canonical(raw: str) -> str:
    """Return a segment as it is compared with a literal: percent-decoded, where it can be."""
    if "%" not in raw:
        return raw
    try:
        return unquote_to_bytes(raw.encode("utf-8", "surrogateescape")).decode("utf-8")
    except UnicodeDecodeError:
        return raw


class _Reader:
    """A recursive descent over one template; each method reads one rule of the grammar."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._at = 0
        self._segments: list[Segment] = []
        self._variables: list[Variable] = []

    def template(self) -> Template:
        self._expect("/", "a template starts with '/'")
        verb = ""
        if self._source != "/":
            self._read_segments(inside=False)
            if self._peek() == ":":
                self._at += 1
                verb = self._literal("a verb")
            if self._at < len(self._source):
                raise self._error(f"unexpected {self._peek()!r}")
        return Template(self._source, tuple(self._segments), tuple(self._variables), verb)

    def _read_segments(self, *, inside: bool) -> None:
        self._read_segment(inside=inside)
        while self._peek() == "/":
            self._at += 1
            self._read_segment(inside=inside)

    def _read_segment(self, *, inside: bool) -> None:
        if self._source.startswith("**", self._at):
            if Segment(Kind.REST) in self._segments:
                raise self._error("'**' must not stand twice: where one ends and the other starts is unknown")
            self._at += 2
            self._segments.append(Segment(Kind.REST))
        elif self._peek() == "*":
            self._at += 1
            self._segments.append(Segment(Kind.ONE))
        elif self._peek() == "{":
            if inside:
                # "A variable template must not contain other variables." - google/api/http.proto
                raise self._error("a variable must not contain another variable")
            self._read_variable()
        else:
            at = self._at
            text = self._literal("a segment")
            if text in {".", ".."}:
                # Clients remove dot-segments before they send (RFC 3986, 5.2.4): nothing would ever match.
                raise TemplateError(self._source, at + 1, f"'{text}' as a segment is resolved by clients")
            self._segments.append(Segment(Kind.LITERAL, text))
        if self._peek() not in {"", "/", ":", "}"}:
            raise self._error(f"unexpected {self._peek()!r}: a wildcard or variable must be a whole segment")

    def _read_variable(self) -> None:
        opened = self._at
        self._at += 1
        path = [self._ident()]
        while self._peek() == ".":
            self._at += 1
            path.append(self._ident())
        start = len(self._segments)
        if self._peek() == "=":
            self._at += 1
            self._read_segments(inside=True)
        else:
            # "If a variable matches a single path segment, its template may be omitted, e.g. `{var}` is
            # equivalent to `{var=*}`." - google/api/http.proto
            self._segments.append(Segment(Kind.ONE))
        self._expect("}", "expected '.', '=' or '}'" if len(self._segments) == start else "expected '}'")
        for other in self._variables:
            shorter = min(len(other.path), len(path))
            if other.path[:shorter] == tuple(path[:shorter]):
                twice = (
                    "is bound twice" if other.path == tuple(path) else f"overlaps '{'.'.join(other.path)}'"
                )
                raise TemplateError(self._source, opened + 1, f"variable '{'.'.join(path)}' {twice}")
        end = len(self._segments)
        # "If a variable contains multiple path segments, such as "{var=foo/*}" or "{var=**}"" - google/api/http.proto
        multi = end - start > 1 or self._segments[start].kind is Kind.REST
        open_ended = self._segments[-1].kind is Kind.REST and self._peek() != "/"
        self._variables.append(Variable(tuple(path), start, None if open_ended else end, multi=multi))

    def _ident(self) -> str:
        found = _IDENT.match(self._source, self._at)
        if found is None:
            raise self._error("expected a field name")
        self._at = found.end()
        return found.group()

    def _literal(self, what: str) -> str:
        found = _LITERAL.match(self._source, self._at)
        if found is None:
            character = self._peek()
            if character in {"?", "#"} or (character and character < " "):
                raise self._error(f"{character!r} must be percent-encoded")
            raise self._error(f"{what} must not be empty")
        raw = found.group()
        if bad := _MALFORMED.search(raw):
            self._at += bad.start()
            raise self._error("a percent sign must be followed by two hexadecimal digits")
        self._at = found.end()
        if self._peek() in {"?", "#"}:
            raise self._error(f"{self._peek()!r} must be percent-encoded")
        # "If the `LITERAL` contains any reserved character, such characters should be percent-encoded before
        # the matching." - google/api/http.proto. Both sides are compared decoded, which comes to the same.
        return canonical(raw)

    def _expect(self, character: str, otherwise: str) -> None:
        if self._peek() != character:
            raise self._error(otherwise)
        self._at += 1

    def _peek(self) -> str:
        return self._source[self._at : self._at + 1]

    def _error(self, text: str) -> TemplateError:
        return TemplateError(self._source, self._at + 1, text)
