/*
 * Makes each system call that a profile of ours denies and prints "NAME ERRNO" for it; 0 is success, SIGSYS a child that the filter ended.
 * Every argument is -1, which is no address, no descriptor, no flag: a call that passes the filter fails all the same, for another reason
 * than EPERM, and changes nothing. Meant for root with all capabilities, so that EPERM can only come from the filter.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SHM_EXEC
#define SHM_EXEC 0100000
#endif

static const struct {
  const char *name;
  long number;
} calls[] = {
#define CALL(name) {#name, SYS_##name},
#include "names.h"
};

static volatile int watched;

static void say(const char *name, int failed) {
  printf("%s %d\n", name, failed ? errno : 0);
}

/* Whether a value is written into a process through its memory as a file: 0, or the errno. */
static int write_memory(const char *file, const void *at, const void *value, size_t length) {
  int descriptor = open(file, O_RDWR);
  return descriptor == -1 || pwrite(descriptor, value, length, (off_t)(uintptr_t)at) != (ssize_t)length ? errno : 0;
}

static void *page(int protection) {
  return mmap(NULL, 4096, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

int main(void) {
  for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
    say(calls[i].name, syscall(calls[i].number, -1L, -1L, -1L, -1L, -1L, -1L) == -1);

  /* CLONE_FS beside CLONE_NEWUSER is never valid. */
  say("clone(CLONE_NEWUSER)", syscall(SYS_clone, CLONE_NEWUSER | CLONE_FS, 0, 0, 0, 0) == -1);
  say("clone3", syscall(SYS_clone3, -1L, -1L) == -1);
  say("personality(READ_IMPLIES_EXEC)", syscall(SYS_personality, 0x400000) == -1);
  syscall(SYS_personality, 0);
  say("socket(AF_ALG)", socket(38, SOCK_SEQPACKET, 0) == -1);
  say("socket(AF_VSOCK)", socket(40, SOCK_STREAM, 0) == -1);
  say("socket(AF_INET)", socket(AF_INET, SOCK_STREAM, 0) == -1);

  say("mmap(write)", page(PROT_READ | PROT_WRITE) == MAP_FAILED);
  say("mmap(exec)", page(PROT_READ | PROT_EXEC) == MAP_FAILED);
  say("mmap(write, exec)", page(PROT_READ | PROT_WRITE | PROT_EXEC) == MAP_FAILED);
  void *written = page(PROT_READ | PROT_WRITE);
  say("mprotect(read)", mprotect(written, 4096, PROT_READ) == -1);
  say("mprotect(exec)", mprotect(written, 4096, PROT_READ | PROT_EXEC) == -1);
  say("pkey_mprotect(exec)", syscall(SYS_pkey_mprotect, written, 4096, PROT_READ | PROT_EXEC, -1) == -1);
  int segment = shmget(IPC_PRIVATE, 4096, 0600);
  say("shmat", shmat(segment, NULL, SHM_RDONLY) == (void *)-1);
  say("shmat(exec)", shmat(segment, NULL, SHM_EXEC) == (void *)-1);
  shmctl(segment, IPC_RMID, NULL);

  /* What no filter sees, because it is a file: the memory of another process, and executable memory of one's own. */
  fflush(stdout);
  pid_t sibling = fork();
  if (sibling == 0)
    for (;;) {
      if (watched == 42) _exit(42);
      usleep(1000);
    }
  char file[32];
  snprintf(file, sizeof file, "/proc/%d/mem", sibling);
  errno = write_memory(file, (const void *)&watched, &(int){42}, sizeof watched);
  int left = 0;
  if (errno != 0) kill(sibling, SIGKILL);
  else if (waitpid(sibling, &left, 0) == sibling && WEXITSTATUS(left) != 42) errno = EIO;
  say("/proc/PID/mem", errno != 0);
  unsigned char *code = page(PROT_READ | PROT_EXEC);
#ifdef __x86_64__
  const unsigned char answer[] = {0xb8, 42, 0, 0, 0, 0xc3}; /* return 42 */
#else
  const uint32_t answer[] = {0x52800540, 0xd65f03c0};
#endif
  errno = write_memory("/proc/self/mem", code, answer, sizeof answer);
  if (errno == 0) {
    __builtin___clear_cache((char *)code, (char *)code + sizeof answer);
    if (((int (*)(void))code)() != 42) errno = EIO;
  }
  say("/proc/self/mem", errno != 0);

#ifdef __x86_64__
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    long number = 20; /* getpid, as 32-bit programs call it */
    __asm__ volatile("int $0x80" : "+a"(number) : : "memory", "r8", "r9", "r10", "r11");
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  printf("int80 %s\n", WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS ? "SIGSYS" : "0");
#endif
  puts("done");
  fflush(stdout);
  for (;;) pause();
}
