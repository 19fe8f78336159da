/* Which system calls there are: those of a server that serves and reads files again, its threads'
 * included. All others answer ENOSYS, as if the system did not know them. */
#include "sandbox-parts.h"

#ifdef CLI_HAS_SECCOMP

#include <errno.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <seccomp.h>

static const char *const allowed[] = {
    /* sockets that are there */
    "accept", "accept4", "getpeername", "getsockname", "getsockopt", "recvfrom", "recvmmsg",
    "recvmsg", "sendmmsg", "sendmsg", "sendto", "setsockopt", "shutdown",
    /* the loop */
    "epoll_create1", "epoll_ctl", "epoll_pwait", "epoll_pwait2", "epoll_wait", "eventfd2", "fcntl",
    "inotify_add_watch", "inotify_init1", "inotify_rm_watch", "pipe2", "poll", "ppoll", "pselect6",
    "select",
    /* files: which, Landlock and permissions say */
    "access", "close", "dup", "faccessat", "faccessat2", "fadvise64", "fstat", "fstatfs", "fsync",
    "getcwd", "getdents64", "lseek", "lstat", "newfstatat", "open", "openat", "openat2", "pread64",
    "preadv", "preadv2", "read", "readlink", "readlinkat", "readv", "sendfile", "stat", "statfs",
    "statx", "write", "writev",
    /* memory and threads */
    "brk", "exit", "exit_group", "futex", "get_robust_list", "getpid", "getppid", "gettid",
    "madvise", "membarrier", "mincore", "mlock", "mlock2", "mremap", "munlock", "munmap",
    "restart_syscall", "rseq", "rt_sigaction", "rt_sigpending", "rt_sigprocmask", "rt_sigreturn",
    "rt_sigtimedwait", "sched_getaffinity", "sched_getparam", "sched_getscheduler", "sched_yield",
    "set_robust_list", "sigaltstack", "tgkill",
    /* who and when */
    "clock_getres", "clock_gettime", "clock_nanosleep", "getegid", "geteuid", "getgid", "getrandom",
    "getrlimit", "getrusage", "gettimeofday", "getuid", "nanosleep", "prlimit64", "sysinfo", "time",
    "times", "uname"};

/* TCGETS2, whose own definition needs a struct that cannot be had beside termios.h: 44 is its size
 * but on MIPS and SPARC. */
#define ASK_TERMIOS2 _IOR('T', 0x2A, char[44])

/* What libuv and the C library ask of descriptors: of terminals only whether they are some. */
static int allow_requests(scmp_filter_ctx filter) {
  static const scmp_datum_t requests[] = {FIONBIO, FIOCLEX,    FIONREAD,
                                          TCGETS,  TIOCGWINSZ, ASK_TERMIOS2};
  int status = 0;
  for (size_t i = 0; i < sizeof requests / sizeof *requests && !status; i++) {
    struct scmp_arg_cmp request = SCMP_A1(SCMP_CMP_MASKED_EQ, UINT32_MAX, requests[i]);
    status = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, request);
  }
  return status;
}

/* Memory never becomes code, and what is cloned is a thread. (Of clone3 the arguments cannot be
 * looked at; without it, clone is called.) */
static int allow_in_part(scmp_filter_ctx filter) {
  struct scmp_arg_cmp data = SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0);
  struct scmp_arg_cmp thread = SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD);
  int status = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, data);
  if (!status)
    status = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, data);
  if (!status)
    status = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1, thread);
  return status;
}

static int allow_all(scmp_filter_ctx filter) {
  for (size_t i = 0; i < sizeof allowed / sizeof *allowed; i++) {
    int number = seccomp_syscall_resolve_name(allowed[i]);
    if (number == __NR_SCMP_ERROR)
      continue; /* newer than libseccomp */
    int status = seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 0);
    if (status < 0)
      return status;
  }
  int status = allow_requests(filter);
  return status ? status : allow_in_part(filter);
}

bool cli_seccomp(void) {
  scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
  if (!filter)
    return false;
  (void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
  bool fine = allow_all(filter) == 0 && seccomp_load(filter) == 0;
  seccomp_release(filter);
  return fine;
}

#else

bool cli_seccomp(void) { return false; }

#endif
