#!/usr/bin/env python3
"""A shell whose input and output are a connection to @HOST@:@PORT@, where the test listens. The test sends it one `echo`."""
import json
import os
import socket

report = {"call": "connect", "errno": 0}
try:
    connection = socket.create_connection(("@HOST@", int("@PORT@")), timeout=10)
    # A shell does not wait for a socket that says "nothing yet".
    connection.setblocking(True)
    child = os.fork()
    if child == 0:
        for descriptor in (0, 1, 2):
            os.dup2(connection.fileno(), descriptor)
        os.execv("/bin/sh", ["sh"])
    _, status = os.waitpid(child, 0)
    report["note"] = "the shell ended with %d" % os.waitstatus_to_exitcode(status)
except OSError as error:
    report["errno"] = error.errno
print(json.dumps(report))
