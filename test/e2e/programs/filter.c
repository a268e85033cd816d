/* filter PID: the seccomp filter of a process, as the kernel runs it: one instruction a line, "code jt jf k". Needs CAP_SYS_ADMIN and no filter of its own. */
#include <errno.h>
#include <linux/filter.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#define PTRACE_SECCOMP_GET_FILTER_ 0x420c

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  pid_t pid = (pid_t)atoi(argv[1]);
  if (ptrace(PTRACE_SEIZE, pid, 0, 0) != 0 || ptrace(PTRACE_INTERRUPT, pid, 0, 0) != 0) {
    fprintf(stderr, "ptrace: %s\n", strerror(errno));
    return 1;
  }
  waitpid(pid, NULL, __WALL);
  static struct sock_filter code[4096];
  long count = ptrace(PTRACE_SECCOMP_GET_FILTER_, pid, 0, code);
  if (count < 0) {
    fprintf(stderr, "PTRACE_SECCOMP_GET_FILTER: %s\n", strerror(errno));
    return 1;
  }
  for (long i = 0; i < count; i++) printf("%u %u %u %u\n", code[i].code, code[i].jt, code[i].jf, code[i].k);
  ptrace(PTRACE_DETACH, pid, 0, 0);
  return 0;
}
