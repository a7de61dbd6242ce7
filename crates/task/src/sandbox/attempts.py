import ctypes, os, socket, threading, time


def escaped():
    found = []

    def attempt(what, act):
        try:
            act()
            found.append(what)
        except (OSError, MemoryError):
            pass

    libc = ctypes.CDLL(None, use_errno=True)

    def call(function, *arguments):
        if getattr(libc, function)(*arguments) < 0:
            raise OSError(ctypes.get_errno(), function)

    attempt("the network", lambda: socket.create_connection(("192.0.2.1", 80), timeout=0.2))
    attempt("another host's name", lambda: socket.getaddrinfo("example.org", 80))
    attempt("files of this machine", lambda: os.stat(MARKER))
    attempt("/etc", lambda: os.listdir("/etc"))
    attempt("/proc", lambda: os.listdir("/proc/1"))
    attempt("writing to /usr", lambda: open("/usr/espalier", "w"))
    for folder, folders, _ in os.walk("/usr"):
        if os.path.ismount(folder) and os.access(folder, os.W_OK):
            found.append(f"writing to {folder}")
        if folder.count("/") > 2:
            folders.clear()
    attempt("writing to /", lambda: open("/espalier", "w"))
    attempt("mounting", lambda: os.chroot("/tmp"))
    attempt("another user", lambda: os.setuid(1 if os.getuid() != 1 else 2))
    attempt("memory", lambda: bytearray(1 << 31))
    attempt("a second process", os.fork)
    attempt("another program", lambda: os.execv("/usr/bin/env", ["env"]))
    attempt("memory of a segment", lambda: call("shmget", 0, 4096, 0o1600))
    attempt("memory of a nameless file", lambda: call("memfd_create", b"x", 0))
    attempt("a queue of the kernel", lambda: call("msgget", 0, 0o1600))
    attempt("a namespace of its own", lambda: call("unshare", 0x10000000))
    # The numbers are 0 for a group or session that began outside.
    if os.getpgrp() == 0 or os.getsid(0) == 0:
        found.append("signals to the group that started it")
    with open("/tmp/scratch", "w") as file:
        file.write("x")
    threads = [threading.Thread(target=time.sleep, args=(0.05,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    return found
