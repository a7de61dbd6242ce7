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

# A wheel that is fetched for the files in it does not depend on the Python version; asking for one fixed version makes
# every machine fetch the same file, and lets an older Python fetch what it could not run.
WHEEL_PYTHON = "3.12"


def say(message):
    """To stderr: what a script prints to stdout is read by other scripts."""
    print(f"{pathlib.Path(sys.argv[0]).stem}: {message}", file=sys.stderr)


def fail(message):
    say(message)
    sys.exit(1)


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


def download(folder, *requirements):
    """Downloads the wheels of exactly these packages into a folder."""
    _pip("download", "--no-deps", "--python-version", WHEEL_PYTHON, "--dest", str(folder), *requirements)


def install(folder, requirement):
    """Installs a package for this Python into a folder of its own."""
    _pip("install", "--target", str(folder), requirement)


def _pip(command, *arguments):
    # Without pip's own cache: what is downloaded here is kept unpacked, and a second copy would be half a gigabyte.
    whole = [sys.executable, "-m", "pip", command, "--quiet", "--no-cache-dir", "--disable-pip-version-check",
             "--only-binary=:all:", *arguments]
    environment = {**os.environ, "PIP_ROOT_USER_ACTION": "ignore"}  # nothing here touches the system's Python
    if subprocess.run(whole, check=False, stdout=sys.stderr, env=environment).returncode != 0:
        fail(f"pip could not fetch {arguments[-1]}; check pip and the network, then run the same command again")
