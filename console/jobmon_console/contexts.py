"""Contexts: which servers, and as whom.

A context is a server and a credential under a name, as in kubectl.  Flags
come first, then the environment, then the configuration file; the first that
names something decides alone.  Nothing here opens a credential's key or a
connection: that is ``tls``.
"""

import os
import stat
from collections.abc import Mapping
from typing import Any, NamedTuple

from jobmon_console.errors import ContextError, CredentialFileError
from jobmon_wire.credential import SUFFIX

__all__ = ["Context", "ContextError", "Flags", "Settings", "config_path", "load_contexts", "read_settings"]

_FOUR = ("server", "cert", "key", "ca")  # what a context without a credential file must say


class Context(NamedTuple):
    """A server and a credential: either a credential file, or its four parts."""

    name: str
    credential: str = ""  # path of a credential file; the server's address stands in it
    server: str = ""  # URL
    cert: str = ""  # path of the certificate chain (PEM)
    key: str = ""  # path of the private key (PEM)
    ca: str = ""  # path of what the server must chain to (PEM)


class Flags(NamedTuple):
    """What the command line says of contexts."""

    context: tuple[str, ...] = ()
    credential: str = ""
    server: str = ""
    cert: str = ""
    key: str = ""
    ca: str = ""

    def words(self) -> list[str]:
        """The same as it is typed."""
        found = [word for name in self.context for word in ("--context", name)]
        named = {"--credential": self.credential, "--server": self.server}
        named |= {"--cert": self.cert, "--key": self.key, "--ca": self.ca}
        return found + [word for flag, value in named.items() if value for word in (flag, value)]


class Settings(NamedTuple):
    """The configuration file, read."""

    path: str
    current: tuple[str, ...]
    contexts: dict[str, Context]
    has_holder: bool = True  # a command may leave a connection holder behind
    keys: dict[str, str] = {}  # of the console, by the ids of ``keys``  # noqa: RUF012 - never changed in place


def config_path(environ: Mapping[str, str]) -> str:
    """Where the configuration file is, whether it exists or not."""
    if environ.get("JOBMON_CONFIG"):
        return os.path.abspath(os.path.expanduser(environ["JOBMON_CONFIG"]))
    base = environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    return os.path.join(base, "jobmon", "config.toml")


def load_contexts(flags: Flags, environ: Mapping[str, str]) -> list[Context]:
    """The contexts a command is about: at least one.

    Raises:
        ContextError: the settings contradict themselves or name no such context.
        CredentialFileError: nothing names a credential.
    """
    return _by_flags(flags, environ) or _by_environment(environ) or _by_file(environ)


def read_settings(environ: Mapping[str, str]) -> Settings:
    """The configuration file's content; one that does not exist is empty.

    Raises:
        ContextError: others can write it, it is no TOML, or a context is incomplete.
    """
    path = config_path(environ)
    text = _read_own(path)
    if not text:
        return Settings(path, (), {})
    import tomllib  # 10 ms that a command with --credential need not pay

    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ContextError(f"{path} is not TOML: {error}; correct it") from None
    found = document.get("context", {})
    if not isinstance(found, dict):
        raise ContextError(f"{path}: context must be a table; write [context.NAME]")
    contexts = {name: _read_context(path, name, entry) for name, entry in found.items()}
    has_holder = document.get("holder", True)
    if not isinstance(has_holder, bool):
        raise ContextError(f"{path}: holder must be true or false; correct it")
    keys = document.get("keys", {})
    if not isinstance(keys, dict) or not all(isinstance(value, str) for value in keys.values()):
        raise ContextError(f'{path}: keys must be a table of texts, as kill = "K"; correct it')
    return Settings(path, _read_current(path, document.get("current", [])), contexts, has_holder, keys)


def absolute(context: Context) -> Context:
    """The context with paths that mean the same in every directory."""
    paths = {name: getattr(context, name) for name in ("credential", "cert", "key", "ca")}
    return context._replace(**{name: os.path.abspath(path) for name, path in paths.items() if path})


def _by_flags(flags: Flags, environ: Mapping[str, str]) -> list[Context]:
    parts = {name: getattr(flags, name) for name in _FOUR}
    if sum((bool(flags.context), bool(flags.credential), any(parts.values()))) > 1:
        raise ContextError("--context, --credential and --server exclude each other; give one of them")
    if flags.context:
        return _named(flags.context, read_settings(environ))
    if flags.credential:
        return [_of_credential(flags.credential)]
    if any(parts.values()):
        missing = [f"--{name}" for name, value in parts.items() if not value]
        if missing:
            raise ContextError(f"{' and '.join(missing)} missing; --server, --cert, --key and --ca go together")
        paths = {name: os.path.expanduser(parts[name]) for name in ("cert", "key", "ca")}
        return [Context(_host(flags.server), server=flags.server, **paths)]
    return []


def _by_environment(environ: Mapping[str, str]) -> list[Context]:
    names, credential = environ.get("JOBMON_CONTEXT", ""), environ.get("JOBMON_CREDENTIAL", "")
    if names and credential:
        # Guessing which identity a kill is sent under would be worse than asking.
        raise ContextError("JOBMON_CONTEXT and JOBMON_CREDENTIAL are both set; unset one of them")
    if names:
        return _named(tuple(names.replace(",", " ").split()), read_settings(environ))
    return [_of_credential(credential)] if credential else []


def _by_file(environ: Mapping[str, str]) -> list[Context]:
    settings = read_settings(environ)
    if settings.current:
        return _named(settings.current, settings)
    if len(settings.contexts) == 1:
        return list(settings.contexts.values())
    if settings.contexts:
        names = ", ".join(sorted(settings.contexts))
        raise ContextError(f"{settings.path} has the contexts {names} and no current one; run: jobmon config use NAME")
    raise CredentialFileError("no credential is named; give --credential FILE, or run: jobmon config add NAME FILE")


def _named(names: tuple[str, ...], settings: Settings) -> list[Context]:
    for name in names:
        if name not in settings.contexts:
            known = ", ".join(sorted(settings.contexts)) or "none"
            raise ContextError(f"no context {name!a} in {settings.path}; known are: {known}")
    return [settings.contexts[name] for name in dict.fromkeys(names)]


def _of_credential(path: str) -> Context:
    name = os.path.basename(path)
    name = name[: -len(SUFFIX)] if name.endswith(SUFFIX) else name
    return Context(name, credential=os.path.expanduser(path))


def _read_own(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            # Whoever can write it can point a context at a server of theirs.
            status = os.fstat(file.fileno())
            if status.st_mode & 0o022 or status.st_uid not in (os.geteuid(), 0):
                mode = stat.S_IMODE(status.st_mode)
                raise ContextError(f"others can write {path} (mode {mode:04o}, uid {status.st_uid}); run: chmod 600")
            return file.read()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise ContextError(
            f"cannot read {path}: {getattr(error, 'strerror', None) or 'not UTF-8'}; see to it"
        ) from None


def _read_current(path: str, current: Any) -> tuple[str, ...]:
    names = [current] if isinstance(current, str) else current
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ContextError(f"{path}: current must be a name or a list of names; correct it")
    return tuple(name for name in names if name)


def _read_context(path: str, name: str, entry: Any) -> Context:
    where = f"{path}: context {name!a}"
    if not isinstance(entry, dict) or not all(isinstance(value, str) for value in entry.values()):
        raise ContextError(f"{where} must be a table of texts; correct it")
    unknown = sorted(set(entry) - {"credential", *_FOUR})
    if unknown:
        raise ContextError(f"{where} has an unknown key {unknown[0]!a}; known are credential, {', '.join(_FOUR)}")
    missing = [part for part in _FOUR if not entry.get(part)]
    if bool(entry.get("credential")) == (len(missing) < len(_FOUR)) or (not entry.get("credential") and missing):
        raise ContextError(f"{where} needs either credential or all of {', '.join(_FOUR)}; correct it")
    base = os.path.dirname(path)
    paths = {
        key: os.path.join(base, os.path.expanduser(entry[key]))
        for key in ("credential", "cert", "key", "ca")
        if key in entry
    }
    return Context(name, server=entry.get("server", ""), **paths)


def _host(server: str) -> str:
    return server.split("://", 1)[-1].split("/", 1)[0].rsplit(":", 1)[0]
