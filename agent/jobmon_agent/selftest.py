"""``jobmond.pyz --self-test``: what works on this node and what does not, a line each.

``ok`` works; ``less`` leaves something out that the agent does without; ``bad``
means that jobs run unmonitored here.  Everything is tried out, nothing is
concluded from version numbers.  No job is started, and the server is asked
something that changes nothing there.
"""

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Tuple

    Finding = Tuple[str, str]  # OK, LESS or BAD; a sentence

OK = "ok"
LESS = "less"
BAD = "bad"

_USED = 2.0  # MB of what it shares with Python that an agent comes to use; 0.2 to 1.5 were seen, by Python's version
_PAGE = 4096  # bytes at most of a small file in /proc or /sys
_CGROUPS = "/sys/fs/cgroup"
_NO_LIMIT = 2**60  # bytes; without a limit cgroup v1 tells the largest number of pages there is


def self_test(credential: str) -> int:
    """Print the findings; the exit status: 0 if the agent can do its work here, else 1.

    Args:
        credential: the file named on the command line, or empty.
    """
    memory = _memory()  # first, while this process holds what an idle agent does
    examinations = _EXAMINATIONS + (
        ("server", lambda: _server(credential)),
        ("datagrams", lambda: _datagrams(credential)),
        ("memory", lambda: memory),
    )
    is_bad = False
    for subject, examine in examinations:
        level, sentence = _examine(examine)
        is_bad = is_bad or level == BAD
        # Paths may hold anything, and the terminal may take ASCII alone.
        line = ascii("%-4s  %-11s  %s" % (level, subject, sentence))[1:-1]
        sys.stdout.write(line.replace("\\'", "'") + "\n")
        sys.stdout.flush()
    return 1 if is_bad else 0


def _examine(examine: "Callable[[], Finding]") -> "Finding":
    try:
        return examine()
    except Exception as error:  # a part of the agent that fails here: that is what is looked for
        return BAD, "this cannot be found out: %s: %s" % (type(error).__name__, error)


def _python() -> "Finding":
    from jobmon_agent import VERSION
    from jobmon_agent.bytecode import tag_of

    tag = tag_of(sys.modules["jobmon_agent"])
    version = "%d.%d.%d" % sys.version_info[:3]
    if tag == "source":
        return LESS, "Python %s compiles jobmond %s anew for each job; jobmon agent --python helps" % (
            version,
            VERSION,
        )
    return OK, "Python %s runs its own byte code (%s) of jobmond %s" % (version, tag, VERSION)


def _exit_status() -> "Finding":
    from jobmon_agent.pidfd import tells_exit_status

    kernel = "%s %s" % (os.uname().sysname, os.uname().release)
    if tells_exit_status():
        return OK, "%s tells how a job ended, so jobmond becomes the job (--exec)" % kernel
    return LESS, "%s does not tell how a job ended, so jobmond waits for it (--wrap)" % kernel


def _signals() -> "Finding":
    from jobmon_agent.pidfd import open_pidfd

    pidfd = open_pidfd(os.getpid())
    if pidfd is None:
        return LESS, "no pidfd: a signal goes to a number, right after a look at whose it is"
    os.close(pidfd)
    return OK, "pidfd: a signal reaches the very process it is meant for"


def _proc() -> "Finding":
    if not os.path.exists("/proc/self/stat"):
        return BAD, "it is not mounted, so nothing can be said of a job's processes"
    if not os.path.exists("/proc/1/stat"):
        return OK, "other users' processes are hidden (hidepid); the job's own can be seen"
    return OK, "the job's processes can be seen"


def _cgroup() -> "Finding":
    for line in _read("/proc/self/cgroup").splitlines():
        number, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            return _cgroup_limit("v1", "%s/memory%s/memory.limit_in_bytes" % (_CGROUPS, path), path)
        if number == "0" and os.path.exists(_CGROUPS + "/cgroup.controllers"):
            return _cgroup_limit("v2", "%s%s/memory.max" % (_CGROUPS, path), path)
    return LESS, "none that accounts for memory"


def _cgroup_limit(version: str, file: str, path: str) -> "Finding":
    limit = _read(file).strip()
    if limit.isdigit() and int(limit) < _NO_LIMIT:
        return OK, "%s, %s, memory limit %d MiB" % (version, path, int(limit) >> 20)
    return OK, "%s, %s, no memory limit of its own" % (version, path)


def _inotify() -> "Finding":
    import ctypes

    library = ctypes.CDLL(None, use_errno=True)
    descriptor = library.inotify_init1(os.O_CLOEXEC)
    if descriptor < 0:
        reason = os.strerror(ctypes.get_errno())
        return LESS, "there is none (%s), so a file that is followed is looked at again and again" % reason
    os.close(descriptor)
    return OK, "it tells when a file that is followed has grown"


def _tls() -> "Finding":
    try:
        import ssl
    except ImportError as error:
        return BAD, "this Python has none (%s), so no server can be reached" % error
    best = "1.3" if getattr(ssl, "HAS_TLSv1_3", False) else "1.2"
    return OK, "%s up to %s" % (ssl.OPENSSL_VERSION, best)


def _blake2() -> "Finding":
    try:
        import _blake2

        _blake2.blake2s(b"", key=b"key", digest_size=16)
        return OK, "this Python brings it, at no cost in memory"
    except ImportError:
        from hashlib import blake2s

        blake2s(b"", key=b"key", digest_size=16)
        return LESS, "only through OpenSSL, which costs each idle agent 4 MB"


def _output() -> "Finding":
    import stat

    if stat.S_ISREG(os.fstat(1).st_mode):
        return OK, "stdout is a file, which tail, head and cat can read"
    return LESS, "stdout is no file here: the output of a job started like this cannot be shown"


def _batch() -> "Finding":
    from jobmon_agent import batch

    labels, _ = batch.facts(dict(os.environ), os.getcwd())
    if not labels:
        return OK, "no batch system that JobMon knows started this"
    return OK, "this is a job of %s, id %s" % (labels["system"], labels.get("id", "unknown"))


# What is looked at without a credential, in the order of the lines.
_EXAMINATIONS: "Tuple[Tuple[str, Callable[[], Finding]], ...]" = (
    ("python", _python),
    ("exit status", _exit_status),
    ("signals", _signals),
    ("/proc", _proc),
    ("cgroup", _cgroup),
    ("inotify", _inotify),
    ("tls", _tls),
    ("blake2", _blake2),
    ("output", _output),
    ("batch", _batch),
)


def _server(named: str) -> "Finding":
    from jobmon_agent import trial
    from jobmon_agent.tls import read_address
    from jobmon_wire.credential import CredentialError, open_credential

    path = named or _usual_credential()
    if not path:
        return LESS, "no credential here, so none was asked; name one with --credential"
    try:
        descriptor, credential = open_credential(path)
    except CredentialError as error:
        return BAD, str(error)
    try:
        if credential.role != "job":
            return BAD, "%s is not a job's credential; jobmon credential makes one" % path
        # A registration without content: refused for its content once the credential is taken.
        status = trial.ask(credential, descriptor, "/v1/register").status
    except Exception as error:  # sockets, TLS and HTTP fail in many ways; each has a sentence
        return BAD, "%s cannot be used: %s" % (credential.server, _reason(error))
    finally:
        os.close(descriptor)
    if status in (trial.REFUSED, 403):
        return BAD, "%s answers, but does not take this credential" % credential.server
    if status >= 500:
        return BAD, "%s answers, but fails with status %d" % (credential.server, status)
    authority = read_address(credential.server).authority
    return OK, "%s takes the credential of job %s" % (authority, credential.job)


def _datagrams(named: str) -> "Finding":
    import ssl

    from jobmon_agent import trial
    from jobmon_wire.credential import CredentialError, open_credential
    from jobmon_wire.documents import read_object
    from jobmon_wire.records import Beats

    path = named or _usual_credential()
    if not path:
        return LESS, "not tried: the server answers those of a job's credential alone; name one with --credential"
    try:
        descriptor, credential = open_credential(path)
    except CredentialError:
        return LESS, "not tried, without a credential that can be used"
    try:
        reply = trial.ask(credential, descriptor, "/v1/trial")
    except Exception:  # why is in the line above
        return LESS, "not tried, as the server cannot be used"
    finally:
        os.close(descriptor)
    if reply.status != 200:
        why = "the server is too old to be asked" if reply.status == 404 else "the server refuses"
        return LESS, "not tried: " + why
    told = read_object(reply.body).get("beats")
    if not isinstance(told, dict):
        return LESS, "the server takes none (callback = tcp), so each agent keeps a connection open"
    session = Beats.read(told)
    took = trial.echo(session, ssl.PEM_cert_to_DER_cert(credential.certificate), reply)
    if took is None:
        return LESS, "none comes back from UDP port %d: a firewall; each agent keeps a connection open" % session.port
    return OK, "UDP port %d answers in %.0f ms, so an agent that nobody asks needs no connection" % (
        session.port,
        took * 1000,
    )


def _usual_credential() -> str:
    """What a job would find if none is named."""
    from jobmon_wire.credential import SUFFIX

    here = [name for name in os.listdir(".") if name.endswith(SUFFIX)]
    return os.environ.get("JOBMON_CREDENTIAL", "") or (here[0] if len(here) == 1 else "")


def _reason(error: "Exception") -> str:
    """Why there is no connection, without Python's and OpenSSL's trimmings."""
    of_tls = getattr(error, "verify_message", "") or (getattr(error, "reason", "") or "").replace("_", " ").lower()
    number = getattr(error, "errno", None) or 0
    if of_tls or number <= 0:
        return str(of_tls or getattr(error, "strerror", "") or error)
    return os.strerror(number)


def _status_of_a_fork() -> str:
    """What the kernel says of a process that was just forked and has done little since, as the agent is."""
    from jobmon_agent import idle  # noqa: F401

    told, tell = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.write(tell, _read("/proc/self/status").encode("utf-8", "surrogateescape"))
        finally:
            os._exit(0)
    os.close(tell)
    os.waitpid(child, 0)
    try:
        return os.read(told, _PAGE).decode("utf-8", "surrogateescape")
    finally:
        os.close(told)


def _memory() -> "Finding":
    """What an idle agent holds, which is a fork of a process like this one now, and comes to use a little of it."""
    sizes = {}
    for line in _status_of_a_fork().splitlines():
        key, _, value = line.partition(":")
        if key in ("VmRSS", "RssAnon"):
            sizes[key] = int(value.split()[0]) / 1024.0  # the kernel writes kB
    if len(sizes) < 2:
        return LESS, "/proc does not tell how much an idle agent takes"
    return OK, "an idle agent takes less than %.1f MB, %.1f of them its own" % (
        sizes["VmRSS"] + _USED,
        sizes["RssAnon"],
    )


def _read(path: str) -> str:
    """The start of a small file of the kernel's, or nothing."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return os.read(descriptor, _PAGE).decode("utf-8", "surrogateescape")
    except OSError:
        return ""
    finally:
        os.close(descriptor)
