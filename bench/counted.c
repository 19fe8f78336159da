/*
 * Preloaded to a server: counts what it allocates, locks and asks the kernel for, and at its end
 * writes that into the file that the variable COUNTED names:
 *
 *     ALLOCATIONS LOCKS CALLS BYTES KEPT BLOCKS
 *
 * CALLS are those of the system calls below, which are all that a connection causes
 * (test/bench-counts.sh holds that against strace); BYTES were allocated in all; KEPT of them still
 * are, in so many BLOCKS, connections that are open included.
 */
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static atomic_long allocations, locks, calls, total, held, blocks;

/* -- memory ------------------------------------------------------------------------------------ */

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void __libc_free(void *memory);

static void *made(void *memory) {
  long size = (long)malloc_usable_size(memory);
  allocations++;
  total += size;
  held += size;
  blocks += memory != NULL;
  return memory;
}

static void gone(void *memory) {
  held -= (long)malloc_usable_size(memory);
  blocks -= memory != NULL;
}

void *malloc(size_t size) { return made(__libc_malloc(size)); }
void *calloc(size_t count, size_t size) { return made(__libc_calloc(count, size)); }

void *realloc(void *memory, size_t size) {
  gone(memory);
  return made(__libc_realloc(memory, size));
}

void free(void *memory) {
  gone(memory);
  __libc_free(memory);
}

/* -- locks ------------------------------------------------------------------------------------- */

#define LOCK(name, type)                                                                           \
  int name(type *lock) {                                                                           \
    static int (*next)(type *);                                                                    \
    if (!next)                                                                                     \
      next = (int (*)(type *))dlsym(RTLD_NEXT, #name);                                             \
    locks++;                                                                                       \
    return next(lock);                                                                             \
  }

LOCK(pthread_mutex_lock, pthread_mutex_t)
LOCK(pthread_rwlock_rdlock, pthread_rwlock_t)
LOCK(pthread_rwlock_wrlock, pthread_rwlock_t)

/* -- system calls ------------------------------------------------------------------------------ */

static long call(long result) {
  calls++;
  return result;
}

ssize_t read(int fd, void *room, size_t n) { return call(syscall(SYS_read, fd, room, n)); }
ssize_t write(int fd, const void *bytes, size_t n) {
  return call(syscall(SYS_write, fd, bytes, n));
}
ssize_t recv(int fd, void *room, size_t n, int flags) {
  return call(syscall(SYS_recvfrom, fd, room, n, flags, NULL, NULL));
}
ssize_t send(int fd, const void *bytes, size_t n, int flags) {
  return call(syscall(SYS_sendto, fd, bytes, n, flags, NULL, 0));
}
int accept4(int fd, struct sockaddr *address, socklen_t *size, int flags) {
  return (int)call(syscall(SYS_accept4, fd, address, size, flags));
}
pid_t getpid(void) { return (pid_t)call(syscall(SYS_getpid)); } /* OpenSSL's, against forks */
int close(int fd) { return (int)call(syscall(SYS_close, fd)); }
int shutdown(int fd, int how) { return (int)call(syscall(SYS_shutdown, fd, how)); }
int setsockopt(int fd, int level, int name, const void *value, socklen_t size) {
  return (int)call(syscall(SYS_setsockopt, fd, level, name, value, size));
}
int getsockopt(int fd, int level, int name, void *restrict value, socklen_t *restrict size) {
  return (int)call(syscall(SYS_getsockopt, fd, level, name, value, size));
}
int epoll_ctl(int poller, int how, int fd, struct epoll_event *event) {
  return (int)call(syscall(SYS_epoll_ctl, poller, how, fd, event));
}
int epoll_wait(int poller, struct epoll_event *events, int count, int timeout) {
  return (int)call(syscall(SYS_epoll_wait, poller, events, count, timeout));
}
int epoll_pwait(int poller, struct epoll_event *events, int count, int timeout,
                const sigset_t *mask) {
  return (int)call(syscall(SYS_epoll_pwait, poller, events, count, timeout, mask, _NSIG / 8));
}
int ioctl(int fd, unsigned long what, ...) {
  va_list arguments;
  va_start(arguments, what);
  void *argument = va_arg(arguments, void *);
  va_end(arguments);
  return (int)call(syscall(SYS_ioctl, fd, what, argument));
}

/* -- the end ----------------------------------------------------------------------------------- */

__attribute__((destructor)) static void tell(void) {
  long all[] = {allocations, locks, calls, total, held, blocks};
  const char *name = getenv("COUNTED");
  FILE *file = name ? fopen(name, "w") : NULL;
  if (!file)
    return;
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    (void)fprintf(file, "%ld ", all[i]);
  (void)fclose(file);
}
