/*
 * Servers in threads, one port, one session store: a client that comes back is resumed by whichever
 * thread it gets, and the server keeps its session, not the client.
 *
 *     session-store-server [port]        (server-key.pem and server-cert.pem lie here)
 *     openssl s_client -connect localhost:8000 -sess_out s.pem
 *     openssl s_client -connect localhost:8000 -sess_in s.pem     "welcome back!"
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <securepair.h>

#define THREADS 2
#define ADDRESS "127.0.0.1"

static void on_secure(sp_stream_t *s, int status) {
  if (status < 0)
    return;
  const char *text = sp_pair_is_resumed(sp_stream_pair(s)) ? "welcome back!\n" : "welcome!\n";
  sp_stream_send(s, text, strlen(text));
  sp_stream_end(s);
}

typedef struct worker {
  uv_thread_t thread;
  uv_loop_t loop;
  sp_server_t *server;
} worker_t;

static void run(void *worker) { uv_run(&((worker_t *)worker)->loop, UV_RUN_DEFAULT); }

/* Each has a loop and a listener of its own; the context, with its store, is shared. */
static int start(worker_t *worker, sp_context_t *context, int port, sp_error_t *why) {
  uv_loop_init(&worker->loop);
  int status = sp_server_new(&worker->server, &worker->loop, on_secure, why,
                             SP_OPTIONS(.context = context, .reuse_port = SP_YES));
  if (status < 0)
    return status;
  if ((status = sp_server_listen(worker->server, ADDRESS, port, why)) < 0)
    return status;
  return uv_thread_create(&worker->thread, run, worker);
}

int main(int argc, char **argv) {
  static worker_t workers[THREADS];
  int port = argc > 1 ? atoi(argv[1]) : 8000;
  sp_error_t why;
  sp_store_t *store;
  sp_context_t *context;
  if (sp_memory_store_new(&store, 64 << 20, &why) < 0 ||
      sp_context_new(&context, &why,
                     SP_OPTIONS(.store = store, .key_file = "server-key.pem",
                                .cert_file = "server-cert.pem")) < 0)
    return sp_error_print(stderr, &why), 1;
  for (int i = 0; i < THREADS; i++) {
    if (start(&workers[i], context, port, &why) < 0)
      return sp_error_print(stderr, &why), 1;
    port = sp_server_port(workers[i].server); /* the first one may have chosen */
  }
  printf("listening on port %d\n", port);
  fflush(stdout);
  sp_context_release(context); /* the servers hold them */
  sp_store_release(store);
  for (int i = 0; i < THREADS; i++)
    uv_thread_join(&workers[i].thread);
  return 0;
}
