#!/usr/bin/env python3
"""Uses CAP_SYS_ADMIN for itself alone: a mount namespace of its own, gone when this process ends."""
import ctypes
import json

CLONE_NEWNS = 0x20000

libc = ctypes.CDLL(None, use_errno=True)
failed = libc.unshare(CLONE_NEWNS) != 0
print(json.dumps({"call": "unshare", "errno": ctypes.get_errno() if failed else 0}))
