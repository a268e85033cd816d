/* A server that is traced for a moment: what the profile `web` denies and RuntimeDefault allows. Ends on SIGTERM. */
#include <signal.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

static void quit(int number) { _exit(number == SIGTERM ? 0 : 1); }

int main(void) {
  signal(SIGTERM, quit);
  if (fork() == 0) _exit(ptrace(PTRACE_TRACEME, 0, 0, 0) == 0 ? 0 : 1);
  wait(NULL);
  for (;;) pause();
}
