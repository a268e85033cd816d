#!/usr/bin/python3
"""The steps of a release_agent escape, without the escape: a tmpfs stands where the attacker would mount a cgroup hierarchy, and the file
release_agent in it is an ordinary file that no kernel reads."""
import ctypes
import json
import os

FOLDER = "/tmp/cg"

libc = ctypes.CDLL(None, use_errno=True)
os.makedirs(FOLDER, exist_ok=True)
report = {"call": "mount", "errno": 0}
if libc.mount(b"none", FOLDER.encode(), b"tmpfs", 0, None) != 0:
    report["errno"] = ctypes.get_errno()
else:
    report["call"] = "openat"
    try:
        with open(FOLDER + "/release_agent", "w") as file:
            file.write("/nonexistent\n")
    except OSError as error:
        report["errno"] = error.errno
    libc.umount2(FOLDER.encode(), 0)
print(json.dumps(report))
