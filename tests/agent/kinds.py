"""Jobs of many kinds of processes, for the tests: run by the test's own Python as a job.

    python kinds.py ways|kinds|COUNT

Writes the pid of each kind into a file of its name in the working directory,
and ``ready`` last.
"""

import ctypes
import os
import signal
import sys
import threading
import time

LIBRARY = ctypes.CDLL(None)
PR_SET_NAME, PR_SET_DUMPABLE = 15, 4
NAMES = (b"a) R 1 (b", b"line\nline", b") Z 99 99 99", "жук".encode())


def note(name):
    with open(name + ".part", "w") as file:
        file.write(str(os.getpid()))
    os.rename(name + ".part", name)


def be(name, *acts):
    """Fork a process that does the acts and then stays."""
    pid = os.fork()
    if pid:
        if fork_again in acts:
            os.waitpid(pid, 0)  # while it is a zombie, its session has a leader that is known
        return
    try:
        for act in acts:
            act()
        note(name)
        while True:
            signal.pause()
    finally:
        os._exit(1)


def fork_again():
    if os.fork():
        os._exit(0)


def become_bare():
    os.execve("/bin/sh", ["sh", "-c", "echo $$ > bare; exec sleep 300"], {"PATH": os.environ["PATH"]})


def overwrite_environment():
    with open("/proc/self/stat", "rb") as file:
        fields = file.read().rpartition(b")")[2].split()
    start, end = int(fields[47]), int(fields[48])
    ctypes.memset(start, 0x78, end - start)


def hold(megabytes):
    def act():
        global held
        held = bytearray(os.urandom(4096)) * (megabytes * 256)

    return act


def have_threads(count):
    def act():
        for _ in range(count - 1):
            threading.Thread(target=time.sleep, args=(300,), daemon=True).start()

    return act


def have_zombie():
    if not os.fork():
        note("zombie")
        os._exit(0)


def burn():
    note("burner")
    while True:
        pass


def name(text):
    return lambda: LIBRARY.prctl(PR_SET_NAME, text, 0, 0, 0)


def ways():
    """The ways in which a process may leave the job that started it."""
    be("child")
    be("group", lambda: os.setpgid(0, 0))
    be("session", os.setsid)
    be("double", fork_again)
    be("daemon", os.setsid, fork_again)
    be("bare", os.setsid, fork_again, become_bare)
    be("overwritten", os.setsid, fork_again, overwrite_environment)
    be("undumpable", lambda: LIBRARY.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
    return ["child", "group", "session", "double", "daemon", "bare", "overwritten", "undumpable"]


def kinds():
    """What processes may look like to `ps`."""
    for number, text in enumerate(NAMES):
        be(f"name{number}", name(text))
    for megabytes in (1, 10, 100):
        be(f"hold{megabytes}", hold(megabytes))
    for count in (3, 50):
        be(f"threads{count}", have_threads(count))
    be("parent", have_zombie)
    be("stopped", lambda: note("stopped"), lambda: os.kill(os.getpid(), signal.SIGSTOP))
    be("burner", burn)
    be("session", os.setsid)
    return ["name0", "name1", "name2", "name3", "hold1", "hold10", "hold100", "threads3", "threads50"] + [
        "parent", "zombie", "stopped", "burner", "session",
    ]  # fmt: skip


def many(count):
    """Very many."""
    for _ in range(count):
        if not os.fork():
            while True:
                signal.pause()
    return []


def main():
    what = sys.argv[1]
    expected = many(int(what)) if what.isdigit() else {"ways": ways, "kinds": kinds}[what]()
    while not all(os.path.exists(each) for each in expected):
        time.sleep(0.01)
    note("ready")
    while True:
        signal.pause()


main()
