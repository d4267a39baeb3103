"""Changes to the configuration file, made so that a person still likes to read it.

A context is appended as its own table; of the rest only the line of
``current`` is rewritten.  Comments and order stay.
"""

import os
import re
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path

from jobmon_console.contexts import Context, ContextError, read_settings

NAME = re.compile("[A-Za-z0-9._-]+")
_TABLE = re.compile(r"\s*\[")
_CURRENT = re.compile(r"\s*current\s*=")
_PRIVATE = 0o600


def add(context: Context, environ: Mapping[str, str]) -> str:
    """Add a context, and make it the current one where there is none; the file's path.

    Raises:
        ContextError: the name is taken or no name, or the file cannot be written.
    """
    check_name(context.name)
    settings = read_settings(environ)
    if context.name in settings.contexts:
        raise ContextError(f"{settings.path} has a context {context.name!a} already; choose another name")
    pairs = [(key, value) for key, value in context._asdict().items() if value and key != "name"]
    lines = [f"[context.{_key(context.name)}]", *(f"{key} = {_text(value)}" for key, value in pairs)]
    old = _content(settings.path)
    text = (old.rstrip("\n") + "\n\n" if old.strip() else "") + "\n".join(lines) + "\n"
    if not settings.current:
        text = _with_current(text, [context.name])
    _write(settings.path, text)
    return settings.path


def check_name(name: str) -> None:
    """Refuse what cannot name a context.

    Raises:
        ContextError: it holds other characters than a name may.
    """
    if not NAME.fullmatch(name):
        raise ContextError(f"{name!a} cannot name a context; use letters, digits, dot, dash and underscore")


def use(names: list[str], environ: Mapping[str, str]) -> str:
    """Make these the current contexts; the file's path.

    Raises:
        ContextError: no such context, or the file cannot be written.
    """
    settings = read_settings(environ)
    for name in names:
        if name not in settings.contexts:
            known = ", ".join(sorted(settings.contexts)) or "none"
            raise ContextError(f"no context {name!a} in {settings.path}; known are: {known}")
    _write(settings.path, _with_current(_content(settings.path), list(dict.fromkeys(names))))
    return settings.path


def _with_current(text: str, names: list[str]) -> str:
    line = (
        f"current = [{', '.join(_text(name) for name in names)}]" if len(names) != 1 else f"current = {_text(names[0])}"
    )
    lines = text.split("\n")
    end = next((i for i, content in enumerate(lines) if _TABLE.match(content)), len(lines))
    start = next((i for i in range(end) if _CURRENT.match(lines[i])), None)
    if start is None:
        return "\n".join([line, *([""] if lines[0].strip() else []), *lines])
    return "\n".join([*lines[:start], line, *lines[_end_of_value(lines, start, text) :]])


def _end_of_value(lines: list[str], start: int, text: str) -> int:
    """The line after a value that may be a list over several lines."""
    import tomllib

    for end in range(start + 1, len(lines) + 1):
        try:
            tomllib.loads("\n".join(lines[start:end]))
        except tomllib.TOMLDecodeError:
            continue
        return end
    return start + 1


def _write(path: str, text: str) -> None:
    """Replace the file in one step; a link to it stays a link."""
    target = Path(os.path.realpath(path))
    draft = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else _PRIVATE
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _PRIVATE)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                os.fchmod(file.fileno(), mode)
                file.write(text)
            os.replace(draft, target)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise ContextError(f"cannot write {path}: {error.strerror}; check the directory") from None


def _content(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""


def _key(name: str) -> str:
    return _text(name) if "." in name else name


def _text(value: str) -> str:
    """A basic string of TOML."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in escaped) + '"'
