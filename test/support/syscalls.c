#include "syscalls.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static _Thread_local size_t made[CALLS];
static _Atomic(syscalls_fault_t) fault;
static _Atomic(syscalls_ration_t) ration;

size_t syscalls_made(syscall_name_t name) { return made[name]; }

const char *syscalls_text(syscall_name_t name) {
  static const char *const texts[] = {
#define SYSCALLS_TEXT(name) #name,
      SYSCALLS(SYSCALLS_TEXT)
#undef SYSCALLS_TEXT
  };
  return texts[name];
}

void syscalls_set_fault(syscalls_fault_t to) { fault = to; }
void syscalls_set_ration(syscalls_ration_t to) { ration = to; }

static int fails(syscall_name_t name, int fd) {
  syscalls_fault_t asked = fault;
  made[name]++;
  int status = asked ? asked(name, fd) : 0;
  if (status < 0)
    errno = -status;
  return status < 0;
}

/* -- reading ----------------------------------------------------------------------------------- */

ssize_t read(int fd, void *room, size_t n) {
  return fails(CALL_READ, fd) ? -1 : syscall(SYS_read, fd, room, n);
}

ssize_t readv(int fd, const struct iovec *parts, int count) {
  return fails(CALL_READ, fd) ? -1 : syscall(SYS_readv, fd, parts, count);
}

ssize_t recv(int fd, void *room, size_t n, int flags) {
  return fails(CALL_READ, fd) ? -1 : syscall(SYS_recvfrom, fd, room, n, flags, NULL, NULL);
}

ssize_t recvmsg(int fd, struct msghdr *message, int flags) {
  return fails(CALL_READ, fd) ? -1 : syscall(SYS_recvmsg, fd, message, flags);
}

/* -- writing ----------------------------------------------------------------------------------- */

static ssize_t grant(int fd, size_t n) {
  syscalls_ration_t asked = ration;
  if (fails(CALL_WRITE, fd))
    return -1;
  ssize_t most = asked ? asked(fd, n) : (ssize_t)n;
  if (most < 0)
    errno = (int)-most;
  return most < 0 ? -1 : most;
}

static size_t total(const struct iovec *parts, size_t count) {
  size_t n = 0;
  for (size_t i = 0; i < count; i++)
    n += parts[i].iov_len;
  return n;
}

/* The first `most` bytes of the parts. */
static size_t cut(struct iovec *to, const struct iovec *from, size_t count, size_t most) {
  size_t used = 0;
  for (; used < count && used < 16 && most; used++) {
    to[used] = from[used];
    if (to[used].iov_len > most)
      to[used].iov_len = most;
    most -= to[used].iov_len;
  }
  return used;
}

ssize_t write(int fd, const void *bytes, size_t n) {
  ssize_t most = grant(fd, n);
  return most < 0 ? -1 : syscall(SYS_write, fd, bytes, most);
}

ssize_t send(int fd, const void *bytes, size_t n, int flags) {
  ssize_t most = grant(fd, n);
  return most < 0 ? -1 : syscall(SYS_sendto, fd, bytes, most, flags, NULL, 0);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
  struct iovec less[16];
  size_t n = total(parts, (size_t)count);
  ssize_t most = grant(fd, n);
  if (most < 0)
    return -1;
  if ((size_t)most >= n)
    return syscall(SYS_writev, fd, parts, count);
  return syscall(SYS_writev, fd, less, cut(less, parts, (size_t)count, (size_t)most));
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
  struct iovec less[16];
  size_t n = total(message->msg_iov, message->msg_iovlen);
  ssize_t most = grant(fd, n);
  if (most < 0)
    return -1;
  struct msghdr copy = *message;
  if ((size_t)most < n) {
    copy.msg_iovlen = cut(less, message->msg_iov, message->msg_iovlen, (size_t)most);
    copy.msg_iov = less;
  }
  return syscall(SYS_sendmsg, fd, &copy, flags);
}

/* -- the rest ---------------------------------------------------------------------------------- */

int epoll_pwait(int fd, struct epoll_event *events, int most, int timeout, const sigset_t *mask) {
  return fails(CALL_EPOLL_WAIT, fd)
             ? -1
             : (int)syscall(SYS_epoll_pwait, fd, events, most, timeout, mask, _NSIG / CHAR_BIT);
}

int epoll_wait(int fd, struct epoll_event *events, int most, int timeout) {
  return epoll_pwait(fd, events, most, timeout, NULL);
}

int epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event) {
  return fails(CALL_EPOLL_CTL, fd) ? -1 : (int)syscall(SYS_epoll_ctl, epoll, operation, fd, event);
}

int accept4(int fd, struct sockaddr *address, socklen_t *size, int flags) {
  return fails(CALL_ACCEPT, fd) ? -1 : (int)syscall(SYS_accept4, fd, address, size, flags);
}

int shutdown(int fd, int how) {
  return fails(CALL_SHUTDOWN, fd) ? -1 : (int)syscall(SYS_shutdown, fd, how);
}

int close(int fd) { return fails(CALL_CLOSE, fd) ? -1 : (int)syscall(SYS_close, fd); }
