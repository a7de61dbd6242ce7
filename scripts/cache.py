"""The project's folder in the user's cache: what the set-up prepares once for every clone of this user.

Each thing in it is made in a scratch folder and appears by one rename, so its existence means that it is complete, and
a killed set-up leaves nothing half done. Names carry versions: a new version stands beside the old one.
"""

import contextlib
import fcntl
import os
import pathlib
import shutil
import subprocess
import sys


def fail(message):
    sys.exit(f"set-up: {message}")


def folder():
    base = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(base) / "espalier"


@contextlib.contextmanager
def locked():
    """One set-up at a time: a second clone waits, and then finds the thing made."""
    folder().mkdir(parents=True, exist_ok=True)
    with open(folder() / "lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def prepare(name, make):
    """The path of `name` in the cache; when it is missing, `make(scratch)` makes it and returns where it lies."""
    ready = folder() / name
    if ready.exists():
        return ready
    with locked():
        if not ready.exists():
            scratch = folder() / "scratch"
            shutil.rmtree(scratch, ignore_errors=True)  # of a set-up that was killed
            scratch.mkdir()
            try:
                os.rename(make(scratch), ready)
            finally:
                shutil.rmtree(scratch, ignore_errors=True)
    return ready


def pip(*arguments):
    """Runs the pip of this Python; its words go to stderr, since our callers read stdout."""
    # Without pip's own cache: what is downloaded here is kept unpacked, and a second copy would be half a gigabyte.
    command = [sys.executable, "-m", "pip", arguments[0], "--quiet", "--no-cache-dir", "--disable-pip-version-check",
               "--only-binary=:all:", *arguments[1:]]
    if subprocess.run(command, stdout=sys.stderr).returncode != 0:
        fail(f"pip could not fetch {arguments[-1]}; check pip and the network, then run the same command again")
