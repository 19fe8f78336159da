#include <errno.h>
#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

#include "cli.h"

static bool shown;

static void on_second(int number) {
  int kept = errno;
  (void)number;
  (void)!write(STDERR_FILENO, ".", 1);
  errno = kept;
}

static void tick(long seconds) {
  const struct itimerval timer = {.it_interval = {.tv_sec = seconds},
                                  .it_value = {.tv_sec = seconds}};
  (void)setitimer(ITIMER_REAL, &timer, NULL);
}

void cli_progress_begin(const char *what) {
  struct sigaction action = {.sa_handler = on_second, .sa_flags = SA_RESTART};
  if (!isatty(STDERR_FILENO) || sigaction(SIGALRM, &action, NULL) < 0)
    return;
  shown = true;
  fprintf(stderr, "%s ...", what);
  tick(1);
}

void cli_progress_end(void) {
  if (!shown)
    return;
  tick(0);
  shown = false;
  fputc('\n', stderr);
}
