/*
 * Connecting: look up the host, then try its addresses in turns of families, each a little after
 * the one before (RFC 8305, "happy eyeballs"); the first that answers wins. For a stream of its
 * own, or to pipe one that is there already.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/process.h"
#include "context/context.h"
#include "pair/cache.h"
#include "pair/pair.h"
#include "stream/address.h"
#include "stream/stream.h"

#define STAGGER 250 /* milliseconds, RFC 8305 8 */

typedef struct sp__connector {
  sp_stream_t *stream; /* NULL once it won, gave up or was cancelled */
  sp__loop_t *loop;
  sp__settings_t settings;
  const struct sockaddr **addresses; /* in the order to be tried, from `found` */
  size_t count, next;
  struct addrinfo *found;
  struct sockaddr_storage localhost[2]; /* where the resolver does not know it; or a number's */
  sp__list_t attempts;
  uv_getaddrinfo_t lookup;
  uv_timer_t stagger;
  sp__deadline_t deadline;
  unsigned pending; /* what libuv still has of ours */
  bool is_path, timer_closing;
  bool pipes; /* the stream is secure already, and gets a pipe to what answers */
  int port, family;
  int status;     /* of the last attempt that failed */
  char tried[64]; /* its address */
  char host[];
} sp__connector_t;

typedef struct attempt {
  sp__list_t node;
  sp__connector_t *connector;
  uv_connect_t request;
  uv_stream_t *io; /* allocated; the stream's if this attempt wins */
  const struct sockaddr *address;
} attempt_t;

static void free_if_over(sp__connector_t *connector) {
  if (connector->stream || connector->pending)
    return;
  uv_freeaddrinfo(connector->found);
  sp__free(connector->addresses);
  sp__loop_release(connector->loop);
  sp__free(connector);
}

static void on_timer_closed(uv_handle_t *timer) {
  sp__connector_t *connector = timer->data;
  connector->pending--;
  free_if_over(connector);
}

static void on_loser_closed(uv_handle_t *io) { sp__free(io); }

/* Ends everything that still runs; the object goes when libuv is done with it. */
static void wind_up(sp__connector_t *connector) {
  if (connector->stream)
    connector->stream->connector = NULL;
  connector->stream = NULL;
  sp__deadline_clear(&connector->deadline);
  for (sp__list_t *node = connector->attempts.next; node != &connector->attempts;
       node = node->next) {
    attempt_t *attempt = SP__OF(node, attempt_t, node);
    if (!uv_is_closing((uv_handle_t *)attempt->io))
      uv_close((uv_handle_t *)attempt->io, on_loser_closed);
  }
  (void)uv_cancel((uv_req_t *)&connector->lookup); /* fails when it is not running: all the same */
  if (!connector->timer_closing) {
    connector->timer_closing = true;
    uv_close((uv_handle_t *)&connector->stagger, on_timer_closed);
  }
}

void sp__connector_cancel(sp_stream_t *stream) {
  if (stream->connector)
    wind_up(stream->connector);
}

static void fail(sp__connector_t *connector, const sp_error_t *error) {
  sp_stream_t *stream = connector->stream;
  wind_up(connector);
  sp__stream_fail(stream, error);
}

static void give_up(sp__connector_t *connector, int status, const char *what) {
  sp_error_t error;
  if (connector->is_path)
    sp__fail(&error, status, SP_TRANSPORT, "cannot %s %s: %s", what, connector->host,
             uv_strerror(status));
  else
    sp__fail(&error, status, SP_TRANSPORT, "cannot %s %s port %d%s%s%s: %s", what, connector->host,
             connector->port, connector->tried[0] ? " (" : "", connector->tried,
             connector->tried[0] ? ")" : "", uv_strerror(status));
  fail(connector, &error);
}

static void on_time(sp__deadline_t *deadline) {
  sp__connector_t *connector = SP__OF(deadline, sp__connector_t, deadline);
  sp_error_t error;
  if (connector->is_path)
    sp__fail(&error, UV_ETIMEDOUT, SP_TRANSPORT, "no connection in time: %s does not answer",
             connector->host);
  else if (!connector->count)
    sp__fail(&error, UV_ETIMEDOUT, SP_TRANSPORT,
             "no connection in time: the address of %s is not known yet: does the name "
             "server answer?",
             connector->host);
  else
    sp__fail(&error, UV_ETIMEDOUT, SP_TRANSPORT,
             "no connection in time: %s port %d does not answer", connector->host, connector->port);
  fail(connector, &error);
}

/* The stream is destroyed already where something went wrong. In a child that inherited both the
 * connection is the parent's, which goes on. */
static void on_pipe_over(uv_stream_t *plain, int status) {
  (void)status;
  if ((uintptr_t)plain->data == sp__process)
    sp__transport_part(plain);
  uv_close((uv_handle_t *)plain, on_loser_closed);
}

static void pipe_with(const sp__connector_t *connector, sp_stream_t *stream, uv_stream_t *plain) {
  sp_error_t error;
  plain->data = (void *)(uintptr_t)sp__process;  /* for on_pipe_over */
  (void)uv_tcp_nodelay((uv_tcp_t *)plain, true); /* records are passed on as they come */
  int status = sp__relay_make(stream, plain, SP_PIPE_BOTH, on_pipe_over, true);
  if (status == 0)
    return;
  uv_close((uv_handle_t *)plain, on_loser_closed);
  if (status == SP_EOPTION)
    sp__fail(&error, status, SP_US, "the stream was piped elsewhere while it was being connected");
  else if (status == SP_ETRUNCATED)
    sp__fail(&error, status, SP_PEER, "the peer was cut off while the stream was being piped");
  else
    sp__fail_system(&error, status, "cannot pipe the stream to %s port %d", connector->host,
                    connector->port);
  sp__stream_fail(stream, &error);
}

static void win(sp__connector_t *connector, uv_stream_t *io) {
  sp_stream_t *stream = connector->stream;
  wind_up(connector);
  if (connector->pipes)
    pipe_with(connector, stream, io);
  else
    sp__stream_bind(stream, io, true, stream->pair, &connector->settings);
}

static void try_next(sp__connector_t *connector);

static void on_connected(uv_connect_t *request, int status) {
  attempt_t *attempt = request->data;
  sp__connector_t *connector = attempt->connector;
  sp__loop_t *loop = connector->loop;
  sp__list_remove(&attempt->node);
  connector->pending--;
  sp__loop_enter(loop);
  if (connector->stream && status == 0) {
    win(connector, attempt->io);
  } else if (connector->stream) {
    connector->status = status;
    if (attempt->address)
      (void)sp__address_text(attempt->address, connector->tried, sizeof connector->tried, NULL);
    uv_close((uv_handle_t *)attempt->io, on_loser_closed);
    try_next(connector);
  }
  sp__free(attempt);
  free_if_over(connector);
  sp__loop_leave(loop);
}

static attempt_t *attempt_new(sp__connector_t *connector, size_t io_size) {
  attempt_t *attempt = sp__zalloc(sizeof *attempt);
  if (!attempt)
    return NULL;
  if (!(attempt->io = sp__alloc(io_size))) {
    sp__free(attempt);
    return NULL;
  }
  attempt->connector = connector;
  attempt->request.data = attempt;
  sp__list_append(&connector->attempts, &attempt->node);
  connector->pending++;
  return attempt;
}

static void attempt_drop(attempt_t *attempt) {
  attempt->connector->pending--;
  sp__list_remove(&attempt->node);
  uv_close((uv_handle_t *)attempt->io, on_loser_closed);
  sp__free(attempt);
}

static int try_address(sp__connector_t *connector, const struct sockaddr *address) {
  attempt_t *attempt = attempt_new(connector, sizeof(uv_tcp_t));
  if (!attempt)
    return UV_ENOMEM;
  attempt->address = address;
  uv_tcp_t *tcp = (uv_tcp_t *)attempt->io;
  (void)uv_tcp_init(connector->loop->uv, tcp); /* makes no socket yet: cannot fail */
  int status = uv_tcp_connect(&attempt->request, tcp, address, on_connected);
  if (status < 0)
    attempt_drop(attempt);
  return status;
}

static void on_stagger(uv_timer_t *timer) {
  sp__connector_t *connector = timer->data;
  sp__loop_t *loop = connector->loop;
  sp__loop_enter(loop);
  try_next(connector);
  sp__loop_leave(loop);
}

static void try_next(sp__connector_t *connector) {
  while (connector->next < connector->count) {
    const struct sockaddr *address = connector->addresses[connector->next++];
    int status = try_address(connector, address);
    if (status == 0) {
      if (connector->next < connector->count)
        uv_timer_start(&connector->stagger, on_stagger, STAGGER, 0);
      return;
    }
    connector->status = status;
    (void)sp__address_text(address, connector->tried, sizeof connector->tried, NULL);
  }
  if (sp__list_is_empty(&connector->attempts))
    give_up(connector, connector->status, "connect to");
}

/* -- lookup ------------------------------------------------------------------------------------ */

static void set_port(struct sockaddr *address, int port) {
  if (address->sa_family == AF_INET6)
    ((struct sockaddr_in6 *)(void *)address)->sin6_port = htons((uint16_t)port);
  else
    ((struct sockaddr_in *)(void *)address)->sin_port = htons((uint16_t)port);
}

static struct addrinfo *next_of(struct addrinfo *info, bool same, int family) {
  while (info && (info->ai_family == family) != same)
    info = info->ai_next;
  return info;
}

/* The resolver's order, but the families take turns (RFC 8305 4). */
static int order_addresses(sp__connector_t *connector) {
  struct addrinfo *all = connector->found;
  size_t count = 0;
  for (struct addrinfo *info = all; info; info = info->ai_next)
    count++;
  if (!(connector->addresses = sp__alloc((count + 1) * sizeof *connector->addresses)))
    return UV_ENOMEM;
  int family = all ? all->ai_family : 0;
  struct addrinfo *turns[2] = {next_of(all, true, family), next_of(all, false, family)};
  for (int turn = 0; turns[0] || turns[1]; turn = !turn) {
    struct addrinfo *info = turns[turn];
    if (!info)
      continue;
    set_port(info->ai_addr, connector->port);
    connector->addresses[connector->count++] = info->ai_addr;
    turns[turn] = next_of(info->ai_next, turn == 0, family);
  }
  return 0;
}

/* The resolver does not know the host, which is the error `status`, but it may be this machine. */
static int find_localhost(sp__connector_t *connector, int status) {
  static const int families[] = {AF_INET6, AF_INET};
  if (!(connector->addresses = sp__alloc(2 * sizeof *connector->addresses)))
    return UV_ENOMEM;
  for (int i = 0; i < 2; i++)
    if (connector->family != (families[i] == AF_INET ? 6 : 4) &&
        sp__address_of_localhost(connector->host, families[i], connector->port,
                                 &connector->localhost[i]))
      connector->addresses[connector->count++] = (struct sockaddr *)&connector->localhost[i];
  return connector->count ? 0 : status;
}

static void on_found(uv_getaddrinfo_t *request, int status, struct addrinfo *found) {
  sp__connector_t *connector = request->data;
  sp__loop_t *loop = connector->loop;
  connector->pending--;
  connector->found = found;
  sp__loop_enter(loop);
  if (connector->stream) {
    status = status == 0 ? order_addresses(connector) : find_localhost(connector, status);
    connector->status = UV_EAI_NODATA;
    if (status < 0)
      give_up(connector, status, "find the address of");
    else
      try_next(connector);
  }
  free_if_over(connector);
  sp__loop_leave(loop);
}

static int look_up(sp__connector_t *connector) {
  int family = connector->family;
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_protocol = IPPROTO_TCP};
  hints.ai_family = family == 4 ? AF_INET : family == 6 ? AF_INET6 : AF_UNSPEC;
  int status = uv_getaddrinfo(connector->loop->uv, &connector->lookup, on_found, connector->host,
                              NULL, &hints);
  if (status == 0)
    connector->pending++;
  return status;
}

/* -- Unix sockets ------------------------------------------------------------------------------ */

static int connect_path(sp__connector_t *connector) {
  attempt_t *attempt = attempt_new(connector, sizeof(uv_pipe_t));
  if (!attempt)
    return UV_ENOMEM;
  connector->is_path = true;
  uv_pipe_t *pipe = (uv_pipe_t *)attempt->io;
  (void)uv_pipe_init(connector->loop->uv, pipe, 0);
  uv_pipe_connect(&attempt->request, pipe, connector->host, on_connected);
  return 0;
}

/* -- sp_connect -------------------------------------------------------------------------------- */

static sp__connector_t *connector_new(sp_stream_t *stream, const sp__settings_t *settings,
                                      const char *host, int port) {
  size_t n = strlen(host) + 1;
  sp__connector_t *connector = sp__zalloc(sizeof *connector + n);
  if (!connector)
    return NULL;
  connector->stream = stream;
  connector->loop = stream->loop;
  connector->settings = *settings;
  connector->port = port;
  memcpy(connector->host, host, n);
  sp__list_init(&connector->attempts);
  connector->lookup.data = connector->stagger.data = connector;
  (void)uv_timer_init(stream->loop->uv, &connector->stagger);
  connector->pending = 1; /* the timer */
  connector->deadline.run = on_time;
  sp__list_init(&connector->deadline.node);
  if (stream->connect_timeout)
    sp__deadline_set(stream->loop, &connector->deadline, SP__DELAY_HANDSHAKE,
                     (uint64_t)stream->connect_timeout);
  sp__loop_retain(stream->loop);
  stream->connector = connector;
  return connector;
}

static int check(const sp_options_t *options, sp_error_t *why) {
  if (options->path && options->host)
    return sp__fail(why, SP_EOPTION, SP_US, "host and path are both given: which is it?");
  if (!options->path && (options->port < 1 || options->port > 65535))
    return sp__fail(why, SP_EOPTION, SP_US, "port is %d, not a number from 1 to 65535",
                    options->port);
  if (options->path && strlen(options->path) >= sizeof((struct sockaddr_un *)0)->sun_path)
    return sp__fail(why, UV_ENAMETOOLONG, SP_US, "path is longer than a socket's name may be: %s",
                    options->path);
  if (options->family && options->family != 4 && options->family != 6)
    return sp__fail(why, SP_EOPTION, SP_US, "family is %d: 4, 6 or 0 for both", options->family);
  if (options->path && !options->server_name && options->check_name != SP_NO)
    return sp__fail(why, SP_EOPTION, SP_US,
                    "server_name is missing: name the server whose certificate is expected behind "
                    "%s, or say .check_name = SP_NO",
                    options->path);
  return 0;
}

static int make_pair(sp_pair_t **pair, const sp_options_t *options, const char *host,
                     sp_error_t *why) {
  sp_options_t one = *options;
  if (!one.server_name)
    one.server_name = host;
  one.host = host;
  if (one.session_cache == SP_DEFAULT && !one.sessions)
    one.sessions = sp__cache_own();
  return sp_pair_make(pair, SP_CLIENT, why, &one);
}

static int make_stream(sp_stream_t **made, uv_loop_t *uv, sp_secure_cb on_secure,
                       const sp__settings_t *settings, sp_pair_t *pair) {
  sp__loop_t *loop = sp__loop_use(uv);
  sp_stream_t *stream = loop ? sp__stream_new(loop, on_secure, settings) : NULL;
  if (loop)
    sp__loop_release(loop);
  if (!stream) {
    sp_pair_release(pair);
    return UV_ENOMEM;
  }
  stream->pair = pair;
  pair->owner = stream;
  *made = stream;
  return 0;
}

static int start(sp_stream_t *stream, const sp_options_t *options, const sp__settings_t *settings,
                 const char *target) {
  sp__connector_t *connector = connector_new(stream, settings, target, options->port);
  if (!connector)
    return UV_ENOMEM;
  connector->family = options->family;
  int status = options->path ? connect_path(connector) : look_up(connector);
  if (status < 0) {
    wind_up(connector);
    return status;
  }
  return 0;
}

int sp_connect(sp_stream_t **stream, uv_loop_t *loop, sp_secure_cb on_secure, sp_error_t *why,
               const sp_options_t *given) {
  sp_options_t options;
  sp__settings_t settings;
  sp_pair_t *pair;
  int status = sp__options_copy(&options, given, why);
  if (status < 0 || (status = check(&options, why)) < 0)
    return status;
  const char *host = options.host ? options.host : "localhost";
  const char *target = options.path ? options.path : host;
  if ((status = make_pair(&pair, &options, options.path ? NULL : host, why)) < 0)
    return status;
  sp__settings_of(&settings, &options);
  if (make_stream(stream, loop, on_secure, &settings, pair) < 0)
    return sp__fail_memory(why);
  if ((status = start(*stream, &options, &settings, target)) < 0) {
    sp__stream_free(*stream);
    return sp__fail_system(why, status, "cannot connect to %s", target);
  }
  return 0;
}

/* -- sp_stream_pipe_to ------------------------------------------------------------------------- */

/* An address as it is needs nobody to look it up. */
static bool is_number(sp__connector_t *connector) {
  struct sockaddr_storage *room = connector->localhost;
  if (uv_ip4_addr(connector->host, connector->port, (struct sockaddr_in *)room) != 0 &&
      uv_ip6_addr(connector->host, connector->port, (struct sockaddr_in6 *)room) != 0)
    return false;
  if (!(connector->addresses = sp__alloc(sizeof *connector->addresses)))
    return false;
  connector->addresses[connector->count++] = (struct sockaddr *)room;
  return true;
}

int sp_stream_pipe_to(sp_stream_t *stream, const char *host, int port) {
  static const sp__settings_t none;
  if (!host || port < 1 || port > 65535 || stream->pipe_to || stream->relay || stream->connector)
    return SP_EOPTION;
  if (stream->error)
    return stream->error->status;
  if (stream->closing)
    return UV_ECANCELED;
  sp__connector_t *connector = connector_new(stream, &none, host, port);
  if (!connector)
    return UV_ENOMEM;
  connector->pipes = true;
  int status = is_number(connector)
                   ? try_address(connector, connector->addresses[connector->next++])
                   : look_up(connector);
  if (status < 0)
    wind_up(connector);
  return status;
}
