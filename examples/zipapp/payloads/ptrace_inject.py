#!/usr/bin/env python3
"""Writes into the memory of another process as an injection of code does: into that of its own child, where a buffer that nobody reads is."""
import ctypes
import json
import os
import signal
import time

PTRACE_POKEDATA, PTRACE_ATTACH, PTRACE_DETACH = 5, 16, 17

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.restype = ctypes.c_long
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
# A child has it at the same address.
buffer = ctypes.create_string_buffer(16)
child = os.fork()
if child == 0:
    time.sleep(60)
    os._exit(0)
report = {"call": "ptrace", "errno": 0}
if libc.ptrace(PTRACE_ATTACH, child, None, None) != 0:
    report["errno"] = ctypes.get_errno()
else:
    os.waitpid(child, 0)
    if libc.ptrace(PTRACE_POKEDATA, child, ctypes.addressof(buffer), 1) != 0:
        report["errno"] = ctypes.get_errno()
    libc.ptrace(PTRACE_DETACH, child, None, None)
os.kill(child, signal.SIGKILL)
os.waitpid(child, 0)
print(json.dumps(report))
