"""terminal.py COMMAND...: runs it with a terminal of its own, as a person has one."""
import os
import pty
import sys

sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:], stdin_read=lambda _: b"")))
