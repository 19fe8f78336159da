/* A file, or parts of it, to a client: piece by piece, as fast as it takes them. What was read is
 * only sent if the file is still the one that the head of the answer is about. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "www.h"

enum { PIECE = 65536, PART_HEAD = 512 };

typedef struct send {
  uv_work_t work;
  cli_http_t *http;
  cli_www_file_t file;
  const char *type;
  cli_http_range_t ranges[CLI_HTTP_RANGES];
  int count, index;     /* ranges, and which one is being sent */
  int64_t offset, left; /* of that one */
  char boundary[33];    /* "": the content is no list of parts */
  ssize_t got;          /* bytes of the piece, or an error, < 0 */
  bool changed, running, lost;
  char piece[PIECE];
} send_t;

static void free_send(send_t *send) {
  cli_www_close(&send->file);
  free(send);
}

static void on_lost(void *own) {
  send_t *send = own;
  send->lost = true;
  if (!send->running)
    free_send(send);
}

/* -- parts (RFC 9110 14.6) --------------------------------------------------------------------- */

/* What is before a part; the first has no line to end. */
static int print_part(char room[PART_HEAD], const send_t *send, int index) {
  const cli_http_range_t *range = send->ranges + index;
  return snprintf(room, PART_HEAD,
                  "%s--%s\r\nContent-Type: %s\r\nContent-Range: bytes %lld-%lld/%lld\r\n\r\n",
                  index ? "\r\n" : "", send->boundary, send->type, (long long)range->from,
                  (long long)(range->from + range->size - 1), (long long)send->file.facts.st_size);
}

static int print_end(char room[PART_HEAD], const send_t *send) {
  return snprintf(room, PART_HEAD, "\r\n--%s--\r\n", send->boundary);
}

static int64_t length_of(const send_t *send) {
  char room[PART_HEAD];
  int64_t length = 0;
  for (int i = 0; i < send->count; i++)
    length += send->ranges[i].size + (*send->boundary ? print_part(room, send, i) : 0);
  return length + (*send->boundary ? print_end(room, send) : 0);
}

static bool choose_boundary(send_t *send) {
  unsigned char random[16];
  if (uv_random(NULL, NULL, random, sizeof random, 0, NULL) < 0)
    return false;
  for (size_t i = 0; i < sizeof random; i++)
    (void)snprintf(send->boundary + 2 * i, 3, "%02x", random[i]);
  return true;
}

/* -- pieces ------------------------------------------------------------------------------------ */

static bool has_changed(const send_t *send) {
  const struct stat *then = &send->file.facts;
  struct stat now;
  return fstat(send->file.fd, &now) < 0 || now.st_size != then->st_size ||
         now.st_mtim.tv_sec != then->st_mtim.tv_sec || now.st_mtim.tv_nsec != then->st_mtim.tv_nsec;
}

static void read_piece(send_t *send, int how) {
  struct iovec room = {send->piece, send->left < PIECE ? (size_t)send->left : PIECE};
  ssize_t got = how ? preadv2(send->file.fd, &room, 1, send->offset, how)
                    : preadv(send->file.fd, &room, 1, send->offset);
  send->got = got < 0 ? -errno : got;
  send->changed = send->got >= 0 && has_changed(send);
}

static void next_piece(send_t *send);
static void on_sent(cli_http_t *http) { next_piece(cli_http_own(http)); }

static void pass_on(send_t *send) {
  if (send->changed || send->got == 0)
    cli_http_break(send->http, "the file changed while it was sent");
  else if (send->got < 0)
    cli_http_break(send->http, strerror((int)-send->got));
  if (send->changed || send->got <= 0)
    return; /* and it is lost */
  send->offset += send->got;
  send->left -= send->got;
  cli_http_write(send->http, send->piece, (size_t)send->got, on_sent);
}

static void work(uv_work_t *work) { read_piece(work->data, 0); }

static void on_worked(uv_work_t *work, int status) {
  send_t *send = work->data;
  cli_http_t *http = send->http;
  send->running = false;
  if (status < 0)
    send->got = status;
  if (send->lost)
    free_send(send);
  else
    pass_on(send);
  cli_http_release(http);
}

/* What the system has in memory comes at once; a disk is waited for on a thread. */
static void fetch(send_t *send) {
  read_piece(send, RWF_NOWAIT);
  if (send->got >= 0) {
    pass_on(send);
    return;
  }
  send->running = true;
  send->work.data = send;
  cli_http_hold(send->http);
  (void)uv_queue_work(cli_http_loop(send->http), &send->work, work, on_worked);
}

static void begin_range(send_t *send) {
  char room[PART_HEAD];
  send->offset = send->ranges[send->index].from;
  send->left = send->ranges[send->index].size;
  if (*send->boundary)
    cli_http_send(send->http, room, (size_t)print_part(room, send, send->index));
}

static void finish(send_t *send) {
  cli_http_t *http = send->http;
  char room[PART_HEAD];
  if (*send->boundary && cli_http_wants_content(http))
    cli_http_send(http, room, (size_t)print_end(room, send));
  cli_http_set_own(http, NULL, NULL);
  free_send(send);
  cli_http_done(http);
}

static void next_piece(send_t *send) {
  if (!send->left && ++send->index < send->count)
    begin_range(send);
  if (send->left)
    fetch(send);
  else
    finish(send);
}

/* -- the answer -------------------------------------------------------------------------------- */

static send_t *new_send(cli_http_t *http, cli_www_file_t *file, const char *type,
                        const cli_http_range_t *ranges, int count) {
  send_t *send = malloc(sizeof *send);
  if (!send)
    return NULL;
  memset(send, 0, offsetof(send_t, piece));
  send->http = http;
  send->type = type;
  send->count = count ? count : 1;
  send->ranges[0] = (cli_http_range_t){0, file->facts.st_size};
  if (count)
    memcpy(send->ranges, ranges, (size_t)count * sizeof *ranges);
  if (count > 1 && !choose_boundary(send)) {
    free(send);
    return NULL;
  }
  send->file = *file;
  *file = (cli_www_file_t){.fd = -1};
  return send;
}

static void print_head(cli_http_t *http, const send_t *send) {
  const cli_http_range_t *range = send->ranges;
  int64_t size = send->file.facts.st_size;
  if (*send->boundary)
    cli_http_header(http, "Content-Type: multipart/byteranges; boundary=%s", send->boundary);
  else
    cli_http_header(http, "Content-Type: %s", send->type);
  if (!*send->boundary && cli_http_status(http) == 206)
    cli_http_header(http, "Content-Range: bytes %lld-%lld/%lld", (long long)range->from,
                    (long long)(range->from + range->size - 1), (long long)size);
  cli_http_length(http, length_of(send));
}

bool cli_www_send(cli_http_t *http, cli_www_file_t *file, const char *type,
                  const cli_http_range_t *ranges, int count) {
  send_t *send = new_send(http, file, type, ranges, count);
  if (!send)
    return false;
  cli_http_set_own(http, send, on_lost);
  print_head(http, send);
  if (cli_http_wants_content(http))
    begin_range(send);
  if (send->left)
    fetch(send);
  else
    finish(send);
  return true;
}
