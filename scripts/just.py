#!/usr/bin/env python3
"""Prints the folder of a private `just`: the executable that the PyPI package rust-just carries, in the user's cache."""

import zipfile

import cache

VERSION = "1.59.0"


def make(scratch):
    cache.download(scratch, f"rust-just=={VERSION}")
    folder = scratch / "just"
    folder.mkdir()
    (wheel,) = scratch.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (member,) = (name for name in archive.namelist() if name.endswith(".data/scripts/just"))
        (folder / "just").write_bytes(archive.read(member))
    (folder / "just").chmod(0o755)
    return folder


if __name__ == "__main__":
    print(cache.prepare(f"just-{VERSION}", make))
