/* Counting system calls, and making them fail: the program's symbols come before the C library's,
 * for libuv too, as long as that is a shared library. */
#ifndef TEST_SUPPORT_SYSCALLS_H
#define TEST_SUPPORT_SYSCALLS_H

#include <stddef.h>
#include <sys/types.h>

#define SYSCALLS(X) X(READ) X(WRITE) X(ACCEPT) X(EPOLL_WAIT) X(EPOLL_CTL) X(SHUTDOWN) X(CLOSE)

typedef enum syscall_name {
#define SYSCALLS_NAME(name) CALL_##name,
  SYSCALLS(SYSCALLS_NAME)
#undef SYSCALLS_NAME
      CALLS
} syscall_name_t;

/* READ: read, readv, recv, recvmsg. WRITE: write, writev, send, sendmsg. EPOLL_WAIT: epoll_pwait
 * too. Those of the calling thread. */
size_t syscalls_made(syscall_name_t name);
const char *syscalls_text(syscall_name_t name);

/* Asked before each call: 0 goes on, below 0 is what it fails with (-EAGAIN); NULL: nobody is
 * asked. Every thread. */
typedef int (*syscalls_fault_t)(syscall_name_t name, int fd);
void syscalls_set_fault(syscalls_fault_t fault);

/* Asked before a write how many of n bytes it may take at most; below 0: fails so. */
typedef ssize_t (*syscalls_ration_t)(int fd, size_t n);
void syscalls_set_ration(syscalls_ration_t ration);

#endif
