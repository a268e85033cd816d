#!/usr/bin/env python3
"""A step of an escape by release_agent, without the escape: a tmpfs stands where the attacker would mount a cgroup hierarchy, and the file
@FILE@ (release_agent, or notify_on_release, which comes first) in it is an ordinary file that no kernel reads."""
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
        with open(FOLDER + "/@FILE@", "w") as file:
            file.write("nothing\n")
    except OSError as error:
        report["errno"] = error.errno
    libc.umount2(FOLDER.encode(), 0)
print(json.dumps(report))
