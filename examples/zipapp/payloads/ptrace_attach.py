#!/usr/bin/env python3
"""Attaches to the application's worker as a debugger does, and lets go of it again."""
import ctypes
import json
import os
import signal

PTRACE_ATTACH, PTRACE_DETACH = 16, 17


def worker():
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/cmdline" % pid, "rb") as file:
                if file.read().split(b"\0")[-2:-1] == [b"worker"]:
                    return int(pid)
        except OSError:
            pass
    raise SystemExit("the application has no worker")


libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.restype = ctypes.c_long
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
pid = worker()
attached = libc.ptrace(PTRACE_ATTACH, pid, None, None) == 0
report = {"call": "ptrace", "errno": 0 if attached else ctypes.get_errno()}
if attached:
    os.waitpid(pid, 0x40000000)  # __WALL
    libc.ptrace(PTRACE_DETACH, pid, None, None)
    os.kill(pid, signal.SIGCONT)
print(json.dumps(report))
