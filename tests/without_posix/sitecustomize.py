"""Takes from Python what Windows does not have, in every process with this folder on PYTHONPATH.

Only Python is changed: C++ libraries still use the system as it is. Paths keep their slashes, and drives do not exist.
"""

import asyncio  # noqa: F401  here and below: modules that read POSIX names of `os` and `signal` when they are imported
import concurrent.futures  # noqa: F401
import errno
import logging  # noqa: F401
import multiprocessing  # noqa: F401
import os
import platform
import random  # noqa: F401
import shutil
import signal
import socket  # noqa: F401
import subprocess
import sys
import tempfile
import threading
import warnings
from functools import wraps

MODULES = {"crypt", "fcntl", "grp", "nis", "pty", "pwd", "readline", "resource", "syslog", "termios", "tty"}
# docs.python.org/3/library/os.html: "Availability: Unix". All but os.uname, which numpy needs on Linux.
OS_NAMES = """
    chown chroot confstr confstr_names ctermid eventfd fchdir fchown fork forkpty fstatvfs getegid geteuid getgid
    getgrouplist getgroups getloadavg getpgid getpgrp getpriority getresgid getresuid getsid getuid initgroups killpg
    lchown lockf major makedev memfd_create minor mkfifo mknod nice openpty pathconf pidfd_open pipe2 posix_fadvise
    posix_fallocate posix_spawn posix_spawnp pread preadv pwrite pwritev readv sched_getaffinity sched_getparam
    sched_getscheduler sched_setaffinity sched_setparam sched_setscheduler sched_yield sendfile setegid seteuid setgid
    setgroups setpgid setpriority setregid setresgid setresuid setreuid setsid setuid splice sync sysconf sysconf_names
    tcgetpgrp tcsetpgrp ttyname wait wait3 wait4 waitid writev
    PRIO_PGRP PRIO_PROCESS PRIO_USER O_ASYNC O_CLOEXEC O_DIRECT O_DIRECTORY O_DSYNC O_NOCTTY O_NOFOLLOW O_NONBLOCK
    O_PATH O_RSYNC O_SYNC O_TMPFILE
"""
SIGNAL_NAMES = """
    SIGALRM SIGBUS SIGCHLD SIGCLD SIGCONT SIGHUP SIGIO SIGKILL SIGPIPE SIGPOLL SIGPROF SIGPWR SIGQUIT SIGSTOP SIGSYS
    SIGTRAP SIGTSTP SIGTTIN SIGTTOU SIGURG SIGUSR1 SIGUSR2 SIGVTALRM SIGWINCH SIGXCPU SIGXFSZ ITIMER_PROF ITIMER_REAL
    ITIMER_VIRTUAL alarm getitimer pause pthread_kill pthread_sigmask setitimer siginterrupt sigpending sigtimedwait
    sigwait sigwaitinfo
"""
SYSTEM_FILES = ("/proc/", "/sys/", "/etc/os-release", "/usr/lib/os-release")

_exempt = threading.local()


class _Missing:
    """A finder of modules that finds none of MODULES."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:
        if name in MODULES:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def _audit(event: str, arguments: tuple) -> None:
    path = arguments[0] if event == "open" else None
    if isinstance(path, str) and path.startswith(SYSTEM_FILES) and not hasattr(_exempt, "reads"):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)


def _is_open(path: str) -> bool:
    """Whether this process has a file open or mapped."""
    _exempt.reads = True
    try:
        with open("/proc/self/maps", encoding="utf-8", errors="replace") as file:
            mapped = any(line.rstrip("\n").endswith(f" {path}") for line in file)
        links = [f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd")]
        return mapped or any(os.path.lexists(link) and os.readlink(link) == path for link in links)
    finally:
        del _exempt.reads


def _refuses_open_files(function):
    """As Windows does: an open file is neither renamed nor removed, unless `tempfile` opened it with O_TEMPORARY."""

    @wraps(function)
    def checked(*arguments, **options):
        frame = sys._getframe(1)
        is_tempfile = frame.f_code.co_filename == tempfile.__file__
        # A folder descriptor makes the path relative; only `shutil.rmtree` uses one.
        paths = [] if options.get("dir_fd") is not None or is_tempfile else arguments[:2]
        for path in paths:
            if isinstance(path, str | os.PathLike) and _is_open(os.path.realpath(path)):
                raise PermissionError(errno.EACCES, "it is being used by another process", os.fspath(path))
        return function(*arguments, **options)

    return checked


def _refuses_existing_targets(function):
    @wraps(function)
    def checked(source, target, **options):
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), source, None, target)
        return function(source, target, **options)

    return checked


class _Popen(subprocess.Popen):
    def __init__(self, *arguments, **options):
        for name in ("preexec_fn", "pass_fds", "start_new_session", "user", "group", "umask", "shell"):
            if options.get(name) not in (None, False, (), -1):
                raise ValueError(f"{name} is not supported on Windows platforms")
        super().__init__(*arguments, **options)

    def send_signal(self, number: int) -> None:
        if number != signal.SIGTERM:
            raise ValueError(f"Unsupported signal: {number}")
        self.kill()

    def kill(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, 9)

    terminate = kill


platform.uname()  # cached: Windows has the same by other means
subprocess.Popen = _Popen
tempfile._O_TMPFILE_WORKS = shutil._USE_CP_SENDFILE = False  # both were computed when they were imported
for name in OS_NAMES.split():
    if hasattr(os, name):
        delattr(os, name)
for name in SIGNAL_NAMES.split():
    if hasattr(signal, name):
        delattr(signal, name)
for name in MODULES:
    sys.modules.pop(name, None)
sys.meta_path.insert(0, _Missing)
for name in ("remove", "rename", "replace", "unlink"):
    setattr(os, name, _refuses_open_files(getattr(os, name)))
os.rename = _refuses_existing_targets(os.rename)
# Python's own default encoding is that of the region; with PYTHONWARNDEFAULTENCODING=1 its use is an error here.
warnings.filterwarnings("error", category=EncodingWarning, module=r"(edgenet|__main__)(\.|$)")
sys.addaudithook(_audit)
