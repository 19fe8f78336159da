/* A secret that somebody types. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "cli.h"

/* Signals that would leave the terminal without its echo. */
static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP};
enum { COUNT = sizeof numbers / sizeof *numbers };

typedef struct catching {
  struct sigaction before[COUNT];
  sigset_t mask; /* of before */
} catching_t;

static volatile sig_atomic_t caught; /* 0: none */

static void on_signal(int number) { caught = number; }

/* They are blocked but while we wait, so that none comes between a look and the wait. */
static void hold_back(catching_t *catching) {
  struct sigaction action = {.sa_handler = on_signal};
  sigset_t set;
  sigemptyset(&set);
  for (size_t i = 0; i < COUNT; i++) {
    (void)sigaction(numbers[i], NULL, &catching->before[i]);
    if (catching->before[i].sa_handler == SIG_IGN) /* nohup */
      continue;
    sigaddset(&set, numbers[i]);
    (void)sigaction(numbers[i], &action, NULL);
  }
  (void)sigprocmask(SIG_BLOCK, &set, &catching->mask);
}

/* What was caught takes its course now. */
static void let_go(const catching_t *catching) {
  for (size_t i = 0; i < COUNT; i++)
    (void)sigaction(numbers[i], &catching->before[i], NULL);
  if (caught)
    (void)raise(caught);
  (void)sigprocmask(SIG_SETMASK, &catching->mask, NULL);
}

/* False: there is no line, or it is longer than any passphrase may be. */
static bool read_line(char room[CLI_PASSPHRASE_SIZE], int fd, const sigset_t *mask) {
  struct pollfd input = {.fd = fd, .events = POLLIN};
  int ready;
  do
    ready = ppoll(&input, 1, NULL, mask);
  while (ready < 0 && errno == EINTR && !caught);
  ssize_t n = ready > 0 ? read(fd, room, CLI_PASSPHRASE_SIZE - 1) : 0;
  room[n > 0 ? n : 0] = '\0';
  bool whole = strchr(room, '\n') != NULL;
  room[whole ? strcspn(room, "\r\n") : 0] = '\0';
  return *room != '\0';
}

static bool ask_hidden(char room[CLI_PASSPHRASE_SIZE], int fd, const char *question,
                       const char *path) {
  struct termios shown, hidden;
  catching_t catching;
  caught = 0;
  if (tcgetattr(fd, &shown) < 0)
    return false;
  hidden = shown;
  hidden.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
  hold_back(&catching);
  bool fine = tcsetattr(fd, TCSAFLUSH, &hidden) == 0;
  if (fine) {
    dprintf(fd, "%s%s: ", question, path);
    fine = read_line(room, fd, &catching.mask);
    (void)tcsetattr(fd, TCSAFLUSH, &shown);
    dprintf(fd, "\n");
  }
  let_go(&catching);
  return fine;
}

bool cli_ask_secret(char room[CLI_PASSPHRASE_SIZE], const char *question, const char *path) {
  /* In a pipe nobody waits for a question. */
  int fd = isatty(STDIN_FILENO) ? open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY) : -1;
  char *safe = fd < 0 ? NULL : cli_safe_text(path);
  bool fine = false;
  do
    fine = safe && ask_hidden(room, fd, question, safe);
  while (safe && !fine && caught == SIGTSTP); /* stopped, and here again */
  free(safe);
  if (fd >= 0)
    close(fd);
  return fine;
}
