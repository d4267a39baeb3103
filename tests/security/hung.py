"""A file system that hangs: FUSE whose server takes requests and answers none.

As with a dead NFS server, whoever waits for it cannot even be killed, until it
goes away.
"""

import contextlib
import select
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# Mounts itself, answers FUSE_INIT (26) and nothing else.  The device is closed with the process.
# It goes away by itself, so that what waits for it fails a test and does not hang it.
SERVER = """
import ctypes, os, signal, struct, sys
signal.alarm(20)
device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
options = b"fd=%d,rootmode=40000,user_id=0,group_id=0" % device
library = ctypes.CDLL(None, use_errno=True)
if library.mount(b"hung", os.fsencode(sys.argv[1]), b"fuse", 0, options):
    sys.exit(os.strerror(ctypes.get_errno()))
print("mounted", flush=True)
while True:
    request = os.read(device, 1 << 17)
    _, operation, unique = struct.unpack_from("<IIQ", request)
    if operation == 26:
        answer = struct.pack("<IIIIHHIIHH", 7, 31, 65536, 0, 12, 10, 65536, 1, 0, 0).ljust(64, bytes(1))
        os.write(device, struct.pack("<IiQ", 16 + len(answer), 0, unique) + answer)
    else:
        print(operation, flush=True)
"""


class Server:
    """What serves it, if that can be called so."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process

    def was_asked(self, patience: float = 0) -> bool:
        """Whether somebody waits for it, or did."""
        return bool(select.select([self._process.stdout], [], [], patience)[0])


@contextlib.contextmanager
def file_system(point: Path) -> Iterator[Server]:
    """It is mounted there; whoever still waits for it at the end is let go."""
    server = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", SERVER, str(point)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
    )
    try:
        assert server.stdout
        if server.stdout.read(8) != b"mounted\n":
            pytest.skip("a file system that hangs needs root and /dev/fuse")
        yield Server(server)
    finally:
        server.kill()
        server.communicate()
        # Not after a look at it: of one whose server is gone, the kernel tells only errors.
        subprocess.run(["umount", "--lazy", str(point)], capture_output=True)
