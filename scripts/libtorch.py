#!/usr/bin/env python3
"""Finds or prepares LibTorch, and tells cargo by the line LIBTORCH = ... of .cargo/config.toml.

In this order: the PyTorch of `python3`, with LIBTORCH_USE_PYTORCH=1 (the way to a GPU); LIBTORCH; the folder that was
chosen last time, read from .cargo/config.toml; the cache, filled from the torch wheel of PyPI. That wheel is the CUDA
build, but libtorch_cpu.so needs of CUDA only the two small libraries of CUDA_WHEELS, so only these are downloaded, and
only the CPU libraries and the C++ headers are kept.
"""

import os
import pathlib
import platform
import re
import shutil
import subprocess
import zipfile

import cache

VERSION = "2.13.0"  # the one version that torch-sys 0.26 accepts
CUDA_WHEELS = ["nvidia-cuda-cupti==13.0.85", "nvidia-cuda-runtime==13.0.96"]
LIBRARIES = {"libtorch_cpu.so", "libc10.so", "libgomp.so.1", "libcupti.so.13", "libcudart.so.13"}
CARGO_CONFIG = pathlib.Path(__file__).resolve().parent.parent / ".cargo" / "config.toml"


def version_of(folder):
    """The version of a LibTorch folder or of the folder of a Python's torch, without the build suffix; else None."""
    if not (folder / "lib").is_dir():
        return None
    if (folder / "build-version").is_file():
        return (folder / "build-version").read_text().strip().split("+")[0]
    if (folder / "version.py").is_file():
        found = re.search(r"^__version__ = '([^'+]+)", (folder / "version.py").read_text(), re.MULTILINE)
        return found and found[1]
    return None


def of_python():
    """The folder of the torch package, found without importing it: that takes seconds."""
    # The interpreter that torch-sys will ask, which need not be the one that runs this script.
    python = "python" if "VIRTUAL_ENV" in os.environ else "python3"
    code = "import importlib.util as u; s = u.find_spec('torch'); print(s.submodule_search_locations[0] if s else '')"
    found = subprocess.run([python, "-c", code], check=False, stdout=subprocess.PIPE, text=True).stdout.strip()
    return pathlib.Path(found) if found else None


def chosen():
    """The folder that the environment asks for, or that was used last; None when there is neither."""
    if os.environ.get("LIBTORCH_USE_PYTORCH"):
        folder = of_python()
        if folder is None or version_of(folder) != VERSION:
            found = f"has torch {version_of(folder)}" if folder else "has no torch"
            cache.fail(f"LIBTORCH_USE_PYTORCH is set, but python3 {found}; "
                       f"run 'python3 -m pip install torch=={VERSION}' or unset LIBTORCH_USE_PYTORCH")
        return folder
    if os.environ.get("LIBTORCH"):
        folder = pathlib.Path(os.environ["LIBTORCH"]).absolute()
        if version_of(folder) != VERSION:
            found = version_of(folder) or "no LibTorch that tells its version"
            cache.fail(f"LIBTORCH={folder} holds {found}, but {VERSION} is needed; "
                       "point it at the right folder, or unset it to have one prepared")
        return folder
    if CARGO_CONFIG.is_file():
        found = re.search(r'^LIBTORCH = "(.*)"$', CARGO_CONFIG.read_text(), re.MULTILINE)
        if found and version_of(pathlib.Path(found[1])) == VERSION:
            return pathlib.Path(found[1])
    return None


def make(scratch):
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        cache.fail(f"no prepared LibTorch for {platform.system()} {platform.machine()}; run 'python3 -m pip install "
                   f"torch=={VERSION}', set LIBTORCH_USE_PYTORCH=1, then run the same command again")
    cache.say(f"downloading LibTorch {VERSION} from PyPI (540 MB, once for all clones)")
    cache.download(scratch, *CUDA_WHEELS, f"torch=={VERSION}")
    folder = scratch / "libtorch"
    (folder / "lib").mkdir(parents=True)
    for wheel in sorted(scratch.glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            for member in archive.infolist():
                path = pathlib.PurePosixPath(member.filename)
                if path.name in LIBRARIES:
                    target = folder / "lib" / path.name
                elif member.filename.startswith("torch/include/") and not member.is_dir():
                    target = folder / path.relative_to("torch")
                else:
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(member) as source, open(target, "wb") as sink:
                    shutil.copyfileobj(source, sink, 1 << 20)
    missing = LIBRARIES - {file.name for file in (folder / "lib").iterdir()}
    if missing:
        cache.fail(f"the wheels of torch {VERSION} lack {', '.join(sorted(missing))}")
    # torch-sys links -ltorch; of it the CPU library is all that is needed.
    (folder / "lib" / "libtorch.so").write_text("INPUT(-ltorch_cpu)\n")
    (folder / "build-version").write_text(f"{VERSION}\n")
    return folder


def tell_cargo(folder):
    """Sets the one line that is ours and leaves the rest of the file; the file is not in git."""
    line = f'LIBTORCH = "{folder}"'
    text = CARGO_CONFIG.read_text() if CARGO_CONFIG.is_file() else "[env]\n"
    if line in text.splitlines():
        return
    if re.search(r"^LIBTORCH = .*$", text, re.MULTILINE):
        text = re.sub(r"^LIBTORCH = .*$", lambda _: line, text, flags=re.MULTILINE)
    elif "[env]\n" in text:
        text = text.replace("[env]\n", f"[env]\n{line}\n", 1)
    else:
        text += f"\n[env]\n{line}\n"
    CARGO_CONFIG.parent.mkdir(exist_ok=True)
    part = CARGO_CONFIG.with_name(f"config.toml.{os.getpid()}.part")
    part.write_text(text)
    os.replace(part, CARGO_CONFIG)
    cache.say(f"LibTorch {VERSION} is {folder}")


def main():
    tell_cargo(chosen() or cache.prepare(f"libtorch-{VERSION}-cpu", make))


if __name__ == "__main__":
    main()
