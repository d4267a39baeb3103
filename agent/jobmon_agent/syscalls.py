"""System calls that threads wait in, by number, and what their first argument names.

Only those that may take long are here; another one is known by its number.
The numbers are the kernel's and never change.
"""

import os

from jobmon_wire.tuples import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Optional

_WITH_DESCRIPTOR = (  # as their first argument
    "read write readv writev pread64 pwrite64 preadv pwritev preadv2 pwritev2 close fstat lseek ioctl fcntl flock "
    "fsync fdatasync ftruncate fallocate getdents getdents64 sendfile splice tee copy_file_range sync_file_range "
    "syncfs fadvise64 connect accept accept4 sendto recvfrom sendmsg recvmsg sendmmsg recvmmsg shutdown "
    "epoll_wait epoll_pwait epoll_pwait2 io_uring_enter mq_timedsend mq_timedreceive"
)
_X86_64 = (
    "0 read 1 write 2 open 3 close 4 stat 5 fstat 6 lstat 7 poll 8 lseek 9 mmap 11 munmap 16 ioctl 17 pread64 "
    "18 pwrite64 19 readv 20 writev 21 access 23 select 24 sched_yield 26 msync 34 pause 35 nanosleep 40 sendfile "
    "42 connect 43 accept 44 sendto 45 recvfrom 46 sendmsg 47 recvmsg 48 shutdown 56 clone 57 fork 58 vfork 59 execve "
    "60 exit 61 wait4 65 semop 69 msgsnd 70 msgrcv 72 fcntl 73 flock 74 fsync 75 fdatasync 76 truncate 77 ftruncate "
    "78 getdents 80 chdir 82 rename 83 mkdir 84 rmdir 85 creat 86 link 87 unlink 88 symlink 89 readlink "
    "128 rt_sigtimedwait 130 rt_sigsuspend 137 statfs 138 fstatfs 162 sync 165 mount 166 umount2 202 futex "
    "208 io_getevents 217 getdents64 220 semtimedop 221 fadvise64 230 clock_nanosleep 231 exit_group 232 epoll_wait "
    "242 mq_timedsend 243 mq_timedreceive 247 waitid 257 openat 258 mkdirat 262 newfstatat 263 unlinkat 264 renameat "
    "267 readlinkat 269 faccessat 270 pselect6 271 ppoll 275 splice 276 tee 277 sync_file_range 281 epoll_pwait "
    "285 fallocate 288 accept4 295 preadv 296 pwritev 299 recvmmsg 306 syncfs 307 sendmmsg 322 execveat "
    "326 copy_file_range 327 preadv2 328 pwritev2 332 statx 426 io_uring_enter 435 clone3 437 openat2 "
    "441 epoll_pwait2 449 futex_waitv 455 futex_wait"
)
_AARCH64 = (
    "4 io_getevents 22 epoll_pwait 25 fcntl 29 ioctl 32 flock 34 mkdirat 35 unlinkat 36 symlinkat 37 linkat "
    "38 renameat 39 umount2 40 mount 43 statfs 44 fstatfs 45 truncate 46 ftruncate 47 fallocate 48 faccessat 49 chdir "
    "56 openat 57 close 61 getdents64 62 lseek 63 read 64 write 65 readv 66 writev 67 pread64 68 pwrite64 69 preadv "
    "70 pwritev 71 sendfile 72 pselect6 73 ppoll 76 splice 77 tee 78 readlinkat 79 newfstatat 80 fstat 81 sync "
    "82 fsync 83 fdatasync 84 sync_file_range 93 exit 94 exit_group 95 waitid 98 futex 101 nanosleep "
    "115 clock_nanosleep 124 sched_yield 133 rt_sigsuspend 137 rt_sigtimedwait 182 mq_timedsend 183 mq_timedreceive "
    "188 msgrcv 189 msgsnd 192 semtimedop 193 semop 202 accept 203 connect 206 sendto 207 recvfrom 210 shutdown "
    "211 sendmsg 212 recvmsg 215 munmap 220 clone 221 execve 222 mmap 223 fadvise64 227 msync 242 accept4 "
    "243 recvmmsg 260 wait4 267 syncfs 269 sendmmsg 276 renameat2 281 execveat 285 copy_file_range 286 preadv2 "
    "287 pwritev2 291 statx 426 io_uring_enter 435 clone3 437 openat2 441 epoll_pwait2 449 futex_waitv 455 futex_wait"
)
_ADDRESSES_32 = 2**32  # a stack below it is a 32-bit program's, whose calls have other numbers
_PIDS = 2**22  # the kernel's own bound; an argument above it is -1, "any child"


def _table(text: str) -> "Dict[int, str]":
    words = text.split()
    return {int(words[at]): words[at + 1] for at in range(0, len(words), 2)}


_OF_DESCRIPTOR = frozenset(_WITH_DESCRIPTOR.split())
NAMES: "Dict[str, Dict[int, str]]" = {"x86_64": _table(_X86_64), "aarch64": _table(_AARCH64)}


class Call(NamedTuple):
    """The system call a thread is in."""

    number: int
    name: "Optional[str]"  # None where the number is none of the table
    descriptor: "Optional[int]"  # of the process, where the first argument is one
    child: "Optional[int]"  # the process that is waited for, where it is one


def read_call(line: bytes, machine: str = os.uname().machine) -> "Optional[Call]":
    """The call in a line of /proc/PID/task/TID/syscall; None when the thread is in none.

    Args:
        line: the number, six arguments, stack and instruction, or ``running``.
        machine: as ``uname -m`` tells.
    """
    words = line.split()
    if len(words) < 9 or words[0].startswith(b"-"):
        return None
    try:
        number, first, second, stack = int(words[0]), int(words[1], 16), int(words[2], 16), int(words[7], 16)
    except ValueError:
        return None
    name = NAMES.get(machine, {}).get(number) if stack >= _ADDRESSES_32 else None
    descriptor = first & 0xFFFFFFFF if name in _OF_DESCRIPTOR else None
    return Call(number, name, descriptor, _child(name, first & 0xFFFFFFFF, second & 0xFFFFFFFF))


def _child(name: "Optional[str]", first: int, second: int) -> "Optional[int]":
    if name == "wait4":
        return first if 0 < first <= _PIDS else None
    if name == "waitid":  # the kind of what is waited for (1 is a process), then which
        return second if first == 1 and second <= _PIDS else None
    return None
