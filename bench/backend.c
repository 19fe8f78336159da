/*
 * What stands behind the proxies of the benchmarks: a plain server that says back what it hears,
 * and reads no more from a connection that does not take it. Prints its port; ends when its input
 * ends.
 *
 *     backend
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static char room[1 << 16]; /* bytes of the connection whose turn it is */
static int epoll;

struct client {
  int fd;
  size_t start, end; /* bytes that the socket did not take, below */
  char left[sizeof room];
};

__attribute__((noreturn)) static void fail(const char *what) {
  (void)fprintf(stderr, "backend: %s: %s\n", what, strerror(errno));
  exit(1);
}

static void watch(int how, int fd, uint32_t events, void *whose) {
  struct epoll_event event = {.events = events, .data.ptr = whose};
  if (epoll_ctl(epoll, how, fd, &event) < 0)
    fail("epoll_ctl");
}

static void drop(struct client *client) {
  (void)close(client->fd);
  free(client);
}

/* Bytes sent, 0: none now, -1: the connection is gone. */
static ssize_t push(const struct client *client, const char *bytes, size_t n) {
  ssize_t sent = send(client->fd, bytes, n, MSG_NOSIGNAL);
  return sent < 0 && errno == EAGAIN ? 0 : sent;
}

static void write_rest(struct client *client) {
  ssize_t sent = push(client, client->left + client->start, client->end - client->start);
  if (sent < 0) {
    drop(client);
    return;
  }
  client->start += (size_t)sent;
  if (client->start == client->end)
    watch(EPOLL_CTL_MOD, client->fd, EPOLLIN, client);
}

static void echo(struct client *client) {
  ssize_t n = recv(client->fd, room, sizeof room, 0);
  if (n < 0 && errno == EAGAIN)
    return;
  ssize_t sent = n > 0 ? push(client, room, (size_t)n) : -1;
  if (sent < 0) {
    drop(client);
    return;
  }
  if (sent == n)
    return;
  client->start = 0;
  client->end = (size_t)(n - sent);
  memcpy(client->left, room + sent, client->end);
  watch(EPOLL_CTL_MOD, client->fd, EPOLLOUT, client);
}

static void accept_one(int listener) {
  int on = 1, fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0)
    return;
  struct client *client = malloc(sizeof *client); /* pages that are not used cost nothing */
  if (!client)
    fail("malloc");
  client->fd = fd;
  client->start = client->end = 0;
  (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  watch(EPOLL_CTL_ADD, fd, EPOLLIN, client);
}

static int listen_somewhere(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  (void)setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5);
  if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) < 0 || listen(fd, 4096) < 0 ||
      getsockname(fd, (struct sockaddr *)&address, &size) < 0)
    fail("cannot listen");
  (void)printf("%d\n", ntohs(address.sin_port));
  (void)fflush(stdout);
  return fd;
}

static bool has_input_ended(void) { return read(STDIN_FILENO, room, sizeof room) <= 0; }

static void serve(struct client *client, uint32_t events) {
  if (events & EPOLLOUT)
    write_rest(client);
  else
    echo(client);
}

int main(void) {
  static int listener, input; /* their addresses tell them from clients */
  struct epoll_event events[64];
  epoll = epoll_create1(EPOLL_CLOEXEC);
  listener = listen_somewhere();
  watch(EPOLL_CTL_ADD, listener, EPOLLIN, &listener);
  watch(EPOLL_CTL_ADD, STDIN_FILENO, EPOLLIN, &input);
  for (;;) {
    int n = epoll_wait(epoll, events, 64, -1);
    for (int i = 0; i < n; i++) {
      if (events[i].data.ptr == &listener)
        accept_one(listener);
      else if (events[i].data.ptr != &input)
        serve(events[i].data.ptr, events[i].events);
      else if (has_input_ended())
        return 0;
    }
  }
}
