/*
 * A server for all processors: so many threads, each with a loop and a server of its own on one
 * port, among which the kernel spreads the clients. They share the context: certificate, tickets.
 *
 *     workers PORT KEY CERT [THREADS]     (port 0: any free one; as many threads as processors)
 *
 * It says back whatever it hears. SIGTERM and SIGINT end it. Started twice on one port it shares
 * the clients with itself: processes need nothing but reuse_port.
 */
#include <securepair.h>
#include <signal.h>
#include <stdlib.h>

typedef struct worker {
  uv_thread_t thread;
  uv_loop_t loop;
  uv_async_t stop; /* the only thing of a worker that another thread may touch */
  sp_server_t *server;
  unsigned long served;
} worker_t;

typedef struct crew {
  worker_t *workers;
  int count;
  uv_signal_t signals[2];
} crew_t;

static void on_secure(sp_stream_t *stream, int status) {
  worker_t *worker = sp_server_data(sp_stream_server(stream));
  if (status < 0) {
    sp_error_print(stderr, sp_stream_error(stream));
    return;
  }
  worker->served++;
  if (sp_stream_pipe(stream, stream) < 0)
    sp_stream_destroy(stream);
}

/* On the worker's own thread. When the last handle is closed its loop ends. */
static void on_stop(uv_async_t *stop) {
  worker_t *worker = stop->data;
  sp_server_close(worker->server, NULL);
  sp_server_destroy_all(worker->server);
  uv_close((uv_handle_t *)stop, NULL);
}

static void run(void *worker) { uv_run(&((worker_t *)worker)->loop, UV_RUN_DEFAULT); }

/* All of it before the thread runs; a loop may change hands as long as nobody runs it. */
static int set_up(worker_t *worker, sp_context_t *context, int port, sp_error_t *why) {
  int status = uv_loop_init(&worker->loop);
  if (status < 0)
    return why->status = status;
  uv_async_init(&worker->loop, &worker->stop, on_stop);
  worker->stop.data = worker;
  status = sp_server_new(&worker->server, &worker->loop, on_secure, why,
                         SP_OPTIONS(.context = context, .reuse_port = SP_YES));
  if (status < 0)
    return status;
  sp_server_set_data(worker->server, worker);
  return sp_server_listen(worker->server, NULL, port, why);
}

static void on_signal(uv_signal_t *signal, int number) {
  crew_t *crew = signal->data;
  (void)number;
  for (int i = 0; i < crew->count; i++)
    uv_async_send(&crew->workers[i].stop);
  for (int i = 0; i < 2; i++)
    uv_close((uv_handle_t *)&crew->signals[i], NULL);
}

static void watch_signals(crew_t *crew) {
  static const int numbers[] = {SIGTERM, SIGINT};
  for (int i = 0; i < 2; i++) {
    uv_signal_init(uv_default_loop(), &crew->signals[i]);
    crew->signals[i].data = crew;
    uv_signal_start(&crew->signals[i], on_signal, numbers[i]);
  }
}

static void join(crew_t *crew) {
  for (int i = 0; i < crew->count; i++) {
    worker_t *worker = &crew->workers[i];
    uv_thread_join(&worker->thread);
    uv_loop_close(&worker->loop);
    printf("worker %d served %lu\n", i + 1, worker->served);
  }
  printf("stopped\n");
}

static int serve(crew_t *crew, sp_context_t *context, int port, sp_error_t *why) {
  for (int i = 0; i < crew->count; i++) {
    int status = set_up(&crew->workers[i], context, port, why);
    if (status < 0)
      return status;
    port = sp_server_port(crew->workers[0].server); /* the first one's, if it was any */
  }
  watch_signals(crew);
  for (int i = 0; i < crew->count; i++)
    uv_thread_create(&crew->workers[i].thread, run, &crew->workers[i]);
  printf("listening on port %d\n", port);
  fflush(stdout);
  uv_run(uv_default_loop(), UV_RUN_DEFAULT);
  join(crew);
  return 0;
}

int main(int argc, char **argv) {
  crew_t crew = {.count = (int)uv_available_parallelism()};
  sp_context_t *context;
  sp_error_t why = {.status = 0};
  int port;
  char rest;
  if (argc < 4 || argc > 5 || sscanf(argv[1], "%5d%c", &port, &rest) != 1 ||
      (argc == 5 && (sscanf(argv[4], "%3d%c", &crew.count, &rest) != 1 || crew.count < 1)))
    return fprintf(stderr, "usage: workers PORT KEY CERT [THREADS]\n"), 2;
  if (sp_context_new(&context, &why, SP_OPTIONS(.key_file = argv[2], .cert_file = argv[3])) < 0)
    return sp_error_print(stderr, &why), 1;
  crew.workers = calloc((size_t)crew.count, sizeof *crew.workers);
  if (!crew.workers || serve(&crew, context, port, &why) < 0)
    return sp_error_print(stderr, &why), 1;
  sp_context_release(context);
  free(crew.workers);
  return 0;
}
