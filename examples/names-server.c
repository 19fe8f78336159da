/*
 * A TLS server with a certificate for each name that is in a folder, read when somebody asks for
 * it:
 *
 *     names-server PORT FOLDER     (port 0: any free one)
 *
 * A client that asks for mail.example gets mail.example-cert.pem with mail.example-key.pem; one
 * that asks for a name without files, or for none, is refused. Reading them takes its time, and so
 * the hook answers "not yet" and a worker thread of libuv's reads while the loop serves everybody
 * else.
 */
#include <securepair.h>
#include <stdlib.h>

#define UNRECOGNIZED_NAME 112 /* the alert, RFC 6066 3 */

/* One question. Whoever asks may be gone before the answer is there. */
typedef struct lookup {
  uv_work_t work;
  sp_pair_t *pair; /* NULL: it is */
  sp_context_t *context;
  sp_error_t why;
  char key_file[600], cert_file[600];
} lookup_t;

static const char *folder;

/* On a worker thread: contexts may be made on any. */
static void on_work(uv_work_t *work) {
  lookup_t *lookup = work->data;
  (void)sp_context_new(&lookup->context, &lookup->why,
                       SP_OPTIONS(.key_file = lookup->key_file, .cert_file = lookup->cert_file));
}

static void answer(const lookup_t *lookup) {
  sp_stream_on(sp_stream_of(lookup->pair), NULL, NULL); /* nobody has to be told any more */
  if (lookup->context) {
    sp_pair_use_context(lookup->pair, lookup->context);
    sp_pair_resume(lookup->pair, 0);
  } else {
    sp_error_print(stderr, &lookup->why);
    sp_pair_refuse(lookup->pair, UNRECOGNIZED_NAME);
    sp_pair_resume(lookup->pair, SP_ENAME);
  }
}

static void on_worked(uv_work_t *work, int status) {
  lookup_t *lookup = work->data;
  (void)status;
  if (lookup->pair)
    answer(lookup);
  sp_context_release(lookup->context);
  free(lookup);
}

static void on_gone(sp_stream_t *stream) {
  lookup_t *lookup = sp_stream_data(stream);
  lookup->pair = NULL;
}

/* The name is in lower case and has been checked: it leads nowhere else. */
static int on_name(sp_pair_t *pair, const char *name, void *data) {
  static const sp_stream_events_t events = {.close = on_gone};
  sp_stream_t *stream = sp_stream_of(pair);
  lookup_t *lookup = calloc(1, sizeof *lookup);
  (void)data;
  if (!lookup)
    return UV_ENOMEM;
  lookup->work.data = lookup;
  lookup->pair = pair;
  snprintf(lookup->key_file, sizeof lookup->key_file, "%s/%s-key.pem", folder, name);
  snprintf(lookup->cert_file, sizeof lookup->cert_file, "%s/%s-cert.pem", folder, name);
  uv_queue_work(sp_stream_loop(stream), &lookup->work, on_work, on_worked);
  sp_stream_on(stream, &events, lookup);
  return SP_PENDING;
}

static void on_secure(sp_stream_t *stream, int status) {
  if (status < 0)
    sp_error_print(stderr, sp_stream_error(stream));
  else if (sp_stream_pipe(stream, stream) < 0)
    sp_stream_destroy(stream);
}

int main(int argc, char **argv) {
  sp_context_t *context;
  sp_server_t *server;
  sp_error_t why;
  int port;
  char rest;
  if (argc != 3 || sscanf(argv[1], "%5d%c", &port, &rest) != 1)
    return fprintf(stderr, "usage: names-server PORT FOLDER\n"), 2;
  folder = argv[2];
  if (sp_context_new(&context, &why, SP_OPTIONS(.hooks.server_name = on_name)) < 0 ||
      sp_server_new(&server, uv_default_loop(), on_secure, &why,
                    SP_OPTIONS(.context = context, .strict_sni = SP_YES)) < 0 ||
      sp_server_listen(server, NULL, port, &why) < 0)
    return sp_error_print(stderr, &why), 1;
  sp_context_release(context); /* the server has a reference of its own */
  printf("listening on port %d\n", sp_server_port(server));
  fflush(stdout);
  return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
