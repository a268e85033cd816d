#!/usr/bin/env python3
"""Asks to be traced by its parent, which keeps every debugger away. A child does it, and ends."""
import ctypes
import json
import os

PTRACE_TRACEME = 0

libc = ctypes.CDLL(None, use_errno=True)
child = os.fork()
if child == 0:
    os._exit(0 if libc.ptrace(PTRACE_TRACEME, 0, None, None) == 0 else ctypes.get_errno())
_, status = os.waitpid(child, 0)
print(json.dumps({"call": "ptrace", "errno": os.waitstatus_to_exitcode(status)}))
