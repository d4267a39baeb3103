"""Distinguished names: tuples of (OID, value), compared by equality and nothing else.

A name is read from DER, never from somebody's way to print it.  The text form
(``/DC=org/DC=example/OU=People/CN=alice``) is for people, command lines and
columns of a database; it is canonical: two names have the same text only if
they are the same name.  Nothing here knows of keys, certificates or roles.

OpenSSL compares names ignoring case and runs of spaces; that comparison never
decides authority here.  Values are therefore held to what has one encoding and
one look: NFC, at most 64 characters, no control, format, surrogate, private or
unassigned character, no space but single ones inside.
"""

import functools
import re
import unicodedata
from typing import Any

from cryptography import x509

from jobmon_pki.errors import PkiError

Name = tuple[tuple[str, str], ...]  # ((dotted OID, value), ...), outermost first

COMMON_NAME = "2.5.4.3"
ORGANIZATIONAL_UNIT = "2.5.4.11"
ORGANIZATION = "2.5.4.10"
DOMAIN_COMPONENT = "0.9.2342.19200300.100.1.25"
COUNTRY = "2.5.4.6"

VALUE_LENGTH = 64  # characters: X.520's upper bound for the attributes below
RDNS = 16  # attributes in a name: people sit at a fixed, small depth

# Every type a name of ours may hold, and how people write it.
_LABELS = {
    DOMAIN_COMPONENT: "DC",
    COUNTRY: "C",
    "2.5.4.8": "ST",
    "2.5.4.7": "L",
    ORGANIZATION: "O",
    ORGANIZATIONAL_UNIT: "OU",
    COMMON_NAME: "CN",
}
_TYPES = {label: oid for oid, label in _LABELS.items()}
_ASCII_ONLY = frozenset([DOMAIN_COMPONENT, COUNTRY])  # IA5String and PrintableString

_RDN = re.compile(r"/([A-Za-z0-9.]+)=((?:[^\\/]|\\[\\/]|\\u[0-9a-f]{4}|\\U[0-9a-f]{8})*)", re.DOTALL)
_ESCAPE = re.compile(r"\\(?:([\\/])|u([0-9a-f]{4})|U([0-9a-f]{8}))")


class DistinguishedNameError(PkiError, ValueError):
    """The name is not one that JobMon issues or accepts."""


def from_x509(name: x509.Name) -> Name:
    """The name in a certificate.

    Raises:
        DistinguishedNameError: empty, more than one attribute in an RDN, a type
            or a character that is not ours, or a string type that is not the
            one ``to_x509`` writes.
    """
    pairs = []
    for rdn in name.rdns:
        attributes = list(rdn)
        if len(attributes) != 1:
            raise DistinguishedNameError("a name with more than one attribute in one RDN is not accepted")
        value = attributes[0].value
        if not isinstance(value, str):
            raise DistinguishedNameError("a name with an attribute that is not text is not accepted")
        pairs.append((attributes[0].oid.dotted_string, value))
    result = check_name(tuple(pairs))
    if to_x509(result).public_bytes() != name.public_bytes():
        raise DistinguishedNameError(f"{display(result)} is not encoded as JobMon encodes it")
    return result


def to_x509(name: Name) -> x509.Name:
    """The name as a certificate holds it: UTF8String, DC as IA5String, C as PrintableString.

    Raises:
        DistinguishedNameError: see ``check_name``.
    """
    # cryptography's default string types are those of RFC 5280, so none is named here.
    return x509.Name(
        [x509.NameAttribute(x509.ObjectIdentifier(oid), value) for oid, value in check_name(name)],
    )


def check_name(name: Name) -> Name:
    """The same name, if it is one that may be issued.

    Raises:
        DistinguishedNameError: it may not; the sentence names the attribute.
    """
    if not name:
        raise DistinguishedNameError("an empty name is not accepted")
    if len(name) > RDNS:
        raise DistinguishedNameError(f"a name of {len(name)} attributes is not accepted; at most {RDNS}")
    for oid, value in name:
        if oid not in _LABELS:
            raise DistinguishedNameError(f"a name with the attribute {visible(oid)} is not accepted")
        problem = _problem(oid, value)
        if problem:
            raise DistinguishedNameError(f"{_LABELS[oid]}={visible(value[: VALUE_LENGTH + 1])} {problem}")
    return name


def display(name: Name) -> str:
    """The canonical text of any name, safe to print: no control character survives it."""
    return "".join(f"/{_LABELS.get(oid, oid)}={_shown(value)}" for oid, value in name) or "/"


def parse(text: str) -> Name:
    """The name that ``display`` wrote.

    Raises:
        DistinguishedNameError: not such a text, or a name that may not be issued.
    """
    name = check_name(read_display(text))
    if display(name) != text:
        raise DistinguishedNameError(f"{visible(text)} is not written as JobMon writes names: {display(name)}")
    return name


def read_display(text: str) -> Name:
    """The name that ``display`` wrote, also one that ``check_name`` refuses.

    Raises:
        DistinguishedNameError: not such a text.
    """
    pairs = []
    position = 0
    while position < len(text):
        found = _RDN.match(text, position)
        if found is None:
            break
        pairs.append((_TYPES.get(found.group(1), found.group(1)), _ESCAPE.sub(_unescaped, found.group(2))))
        position = found.end()
    if not pairs or position < len(text):
        shown = visible(text[: 4 * VALUE_LENGTH])
        raise DistinguishedNameError(f"{shown} is no name; write it as /DC=org/DC=example/OU=People/CN=alice")
    return tuple(pairs)


def common_name(name: Name) -> str:
    """The value of the last CN.

    Raises:
        DistinguishedNameError: the name has none.
    """
    for oid, value in reversed(name):
        if oid == COMMON_NAME:
            return value
    raise DistinguishedNameError(f"{display(name)} has no CN")


def owns(owner: Name, job: Name) -> bool:
    """Whether the job's name is the owner's name and exactly one CN more."""
    if not owner or owner[-1][0] != COMMON_NAME:  # a person's name ends in a CN: an OU owns nobody's jobs
        return False
    return len(job) == len(owner) + 1 and job[:-1] == owner and job[-1][0] == COMMON_NAME


def owner_of(job: Name) -> Name:
    """The owner's part of a job's name.

    Raises:
        DistinguishedNameError: it is no name of a job.
    """
    owner = job[:-1]
    if not owns(owner, job):
        raise DistinguishedNameError(f"{display(job)} is not the name of a job: an owner's name and one CN")
    return owner


def to_document(name: Name) -> list[list[str]]:
    """The name as JSON carries it."""
    return [[oid, value] for oid, value in name]


def from_document(document: Any) -> Name:
    """The name from JSON.

    Raises:
        DistinguishedNameError: not pairs of text, or a name that may not be issued.
    """
    if not isinstance(document, list):
        raise DistinguishedNameError("a name in JSON is a list of pairs")
    return check_name(tuple(_pair(item) for item in document))


def visible(text: str) -> str:
    """Text from anywhere with every character that cannot be seen written as an escape, for sentences.

    Unlike ``display`` it leaves slashes and backslashes as they are, so it may be applied twice.
    """
    return "".join(character if character in "/\\" else _escaped(character) for character in text)


def _pair(item: Any) -> tuple[str, str]:
    if isinstance(item, list | tuple) and len(item) == 2 and isinstance(item[0], str) and isinstance(item[1], str):
        return item[0], item[1]
    raise DistinguishedNameError("a name in JSON is a list of pairs of text")


@functools.lru_cache(maxsize=4096)  # all names of a site begin alike, and long lists of them are read
def _problem(oid: str, value: str) -> str:
    """What is wrong with a value, as the end of a sentence; empty when nothing is."""
    if not value:
        return "has no value"
    if len(value) > VALUE_LENGTH:
        return f"is longer than {VALUE_LENGTH} characters"
    if value != value.strip(" ") or "  " in value:
        return "has a space at an end or two in a row"
    for character in value:
        if unicodedata.category(character)[0] in "CZ" and character != " ":
            return "holds a character that cannot be seen"
    # After the categories: a lone surrogate is refused before anything has to encode it.
    if not unicodedata.is_normalized("NFC", value):
        return "is not in Unicode's normal form NFC"
    if oid in _ASCII_ONLY and not value.isascii():
        return "holds a character outside ASCII"
    if oid == COUNTRY and not re.fullmatch("[A-Z]{2}", value):
        return "is no country: two capital letters"
    return ""


def _shown(text: str) -> str:
    if text.isascii() and text.isprintable() and "/" not in text and "\\" not in text:
        return text  # as nearly every one: names are shown at each request
    return "".join(_escaped(character) for character in text)


def _escaped(character: str) -> str:
    if character in "\\/":
        return "\\" + character
    if character == " " or unicodedata.category(character)[0] not in "CZ":
        return character
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _unescaped(found: re.Match[str]) -> str:
    plain, short, long = found.groups()
    if plain:
        return str(plain)
    code = int(short or long, 16)
    if code > 0x10FFFF:
        raise DistinguishedNameError("an escape in the name stands for no character")
    return chr(code)
