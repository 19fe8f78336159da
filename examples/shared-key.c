/*
 * A key that both sides know before (PSK) in place of certificates: for devices that were given one
 * when they were made.
 *
 *     shared-key serve PORT KEY                  (port 0: any free one)
 *     shared-key HOST PORT IDENTITY KEY
 *     openssl s_client -quiet -connect 127.0.0.1:PORT -psk_identity lamp -psk KEY
 *
 * KEY is in hexadecimal digits; 32 of them are a good key, a password is none. The server here
 * knows one key for every identity, and looks it up only after a moment, as if it were in a
 * database: its hook answers SP_PENDING, and the loop goes on meanwhile.
 */
#include <securepair.h>
#include <stdlib.h>
#include <string.h>

#define LARGEST 64

static uint8_t key[LARGEST];
static size_t key_size;

/* For TLS 1.2 the suites have to be named; TLS 1.3 has what it needs. The first one has forward
 * secrecy: what was recorded stays secret when the key becomes known. */
#define CIPHERS .ciphers = "ECDHE-PSK-CHACHA20-POLY1305:PSK-AES128-GCM-SHA256"

/* False: not an even number of hexadecimal digits, or too many, or too few to be safe. */
static bool read_key(const char *digits) {
  size_t n = strlen(digits);
  if (n % 2 || n < 32 || n > 2 * LARGEST || strspn(digits, "0123456789abcdefABCDEF") != n)
    return false;
  for (; key_size < n / 2; key_size++) {
    unsigned byte;
    if (sscanf(digits + 2 * key_size, "%2x", &byte) != 1)
      return false;
    key[key_size] = (uint8_t)byte;
  }
  return true;
}

/* -- server ------------------------------------------------------------------------------------ */

/* What is looked up for a pair; the pair may be gone before that is done. */
typedef struct search {
  uv_timer_t timer; /* first: its address is the search's */
  sp_pair_t *pair;  /* NULL: nobody waits any more */
  struct search *next;
} search_t;

static search_t *searches;

static void on_closed(uv_handle_t *handle) { free(handle); }

static void on_found(uv_timer_t *timer) {
  search_t *search = (search_t *)(void *)timer;
  search_t **link = &searches;
  while (*link != search)
    link = &(*link)->next;
  *link = search->next;
  if (search->pair) {
    int status = sp_pair_use_key(search->pair, NULL, key, key_size);
    (void)sp_pair_resume(search->pair, status);
  }
  uv_close((uv_handle_t *)timer, on_closed);
}

/* `identity` is what the client says; without a certificate it is all that tells who it is. */
static int on_psk_server(sp_pair_t *pair, const char *identity, uint8_t *room, size_t size,
                         void *data) {
  (void)room, (void)size, (void)data;
  search_t *search = calloc(1, sizeof *search);
  if (!search)
    return 0; /* no key */
  printf("looking for the key of %s\n", identity);
  fflush(stdout);
  search->pair = pair;
  search->next = searches;
  searches = search;
  (void)uv_timer_init(uv_default_loop(), &search->timer);
  (void)uv_timer_start(&search->timer, on_found, 20, 0);
  return SP_PENDING;
}

/* Called for every client, also for one that left meanwhile. */
static void on_served(sp_stream_t *stream, int status) {
  for (search_t *search = searches; search; search = search->next)
    if (search->pair == sp_stream_pair(stream))
      search->pair = NULL;
  if (status < 0) {
    sp_error_print(stderr, sp_stream_error(stream));
    return;
  }
  if (sp_stream_send(stream, "welcome!\n", 9) < 0)
    sp_stream_destroy(stream);
  else
    sp_stream_end(stream);
}

static int serve(int port) {
  sp_server_t *server;
  sp_error_t why;
  if (sp_server_new(&server, uv_default_loop(), on_served, &why,
                    SP_OPTIONS(CIPHERS, .hooks.psk_server = on_psk_server)) < 0 ||
      sp_server_listen(server, NULL, port, &why) < 0)
    return sp_error_print(stderr, &why), 1;
  printf("listening on port %d\n", sp_server_port(server));
  fflush(stdout);
  return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}

/* -- client ------------------------------------------------------------------------------------ */

static int failed;

static int on_psk_client(sp_pair_t *pair, const char *hint, char *identity, size_t identity_size,
                         uint8_t *room, size_t size, void *who) {
  (void)pair, (void)hint;
  if (strlen(who) >= identity_size || key_size > size)
    return 0; /* no key */
  memcpy(identity, who, strlen(who) + 1);
  memcpy(room, key, key_size);
  return (int)key_size;
}

/* Who has the key is authorized. A server that has not cannot get this far. */
static void on_secure(sp_stream_t *stream, int status) {
  failed = status < 0;
  if (failed)
    sp_error_print(stderr, sp_stream_error(stream));
}

static void on_data(sp_stream_t *stream, const uint8_t *bytes, size_t n) {
  (void)stream;
  fwrite(bytes, 1, n, stdout);
}

static int call(const char *host, int port, char *identity) {
  static const sp_stream_events_t events = {.data = on_data};
  sp_stream_t *stream;
  sp_error_t why;
  if (sp_connect(&stream, uv_default_loop(), on_secure, &why,
                 SP_OPTIONS(.host = host, .port = port, CIPHERS, .ca = SP_EMPTY_LIST,
                            .hooks.psk_client = on_psk_client, .hooks_data = identity)) < 0)
    return sp_error_print(stderr, &why), 1;
  sp_stream_on(stream, &events, NULL);
  uv_run(uv_default_loop(), UV_RUN_DEFAULT);
  return failed;
}

int main(int argc, char **argv) {
  bool serves = argc == 4 && strcmp(argv[1], "serve") == 0;
  int port;
  char rest;
  if ((!serves && argc != 5) || sscanf(argv[2], "%5d%c", &port, &rest) != 1)
    return fprintf(stderr, "usage: shared-key serve PORT KEY\n"
                           "       shared-key HOST PORT IDENTITY KEY\n"),
           2;
  if (!read_key(argv[argc - 1]))
    return fprintf(stderr, "shared-key: KEY has to be 32 to 128 hexadecimal digits\n"), 2;
  return serves ? serve(port) : call(argv[1], port, argv[3]);
}
