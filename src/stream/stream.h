/* The inside of a stream. */
#ifndef SP_STREAM_STREAM_H
#define SP_STREAM_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include <securepair/counters.h>
#include <securepair/stream.h>

#include "base/list.h"
#include "stream/flight.h"
#include "stream/loop.h"
#include "stream/transport.h"

#define SP__LINGER 2000 /* milliseconds to wait for the peer's close after ours */

/* A copy of what sp_stream_send was given; in the queue it is a write request like any other. */
typedef struct sp__chunk {
  sp_write_t request; /* first; request.callback is sp__chunk_mark */
  struct sp__chunk *spare;
  size_t used; /* of bytes */
  uint8_t bytes[SP__RECORD];
} sp__chunk_t;

/* A queue of write requests. */
typedef struct sp__queue {
  sp_write_t *first, *last;
} sp__queue_t;

/* Who made a stream, if not the user: a server. */
typedef struct sp__maker {
  void (*gone)(sp_stream_t *stream);                   /* before it is freed */
  unsigned (*hello_budget)(const sp_stream_t *stream); /* handshakes a turn */
  sp_server_counters_t counts;                         /* see count.h */
} sp__maker_t;

/* The options that concern a stream, with the defaults put in. */
typedef struct sp__settings {
  int connect_timeout, handshake_timeout; /* milliseconds; 0: none */
  int idle_timeout;
  size_t high_water, write_limit;
  int keep_alive;
  bool half_open, no_delay, by_worker;
} sp__settings_t;

struct sp_stream {
  void *data;
  sp__loop_t *loop;
  sp_pair_t *pair;
  const sp__transport_t *transport; /* NULL until it is there, as is io */
  uv_stream_t *io;                  /* of a libuv transport; else a handle that is alive as long */
  struct sp__connector *connector;
  sp__maker_t *maker;       /* NULL for a client or an adopted stream */
  struct sp_server *server; /* that it came from */
  sp__list_t sibling;       /* among the server's streams */
  sp_secure_cb on_secure;
  const sp_stream_events_t *events; /* events.h; never NULL */
  sp_error_t *error;
  sp__work_t work;
  sp__list_t warm;
  sp__deadline_t deadline;
  sp__list_t waiting; /* for its handshake's turn, or for a worker */

  sp__queue_t queue; /* cleartext to be sent */
  sp__queue_t sent;  /* encrypted, and not yet with the transport */
  sp__queue_t done;  /* callbacks that are due */
  size_t queued;     /* bytes in `queue` */
  size_t high_water, write_limit;
  sp__flight_t *flight; /* encrypted bytes that a libuv transport is taking */
  size_t flight_size;

  uint8_t *rest; /* encrypted bytes that were read and could not be used yet */
  size_t rest_size;

  sp_stream_t *pipe_to;
  sp__list_t pipe_from;    /* streams that are piped to this one */
  sp__list_t pipe_sibling; /* among those */
  struct sp__relay *relay; /* a pipe with a plain stream */
  struct sp__note *notes;  /* what the engine said in passing */

  uint64_t bytes_read, bytes_written, last_active;
  uint64_t clear_end; /* the encrypted byte that cleartext went up to */
  uint32_t
      handshake;    /* microseconds that it took; before, when it began, of uv_hrtime's the last */
  uint32_t counted; /* pending bytes that the server's counters have */
  int connect_timeout, idle_timeout;
  int16_t mute;        /* the status with which writing failed, as long as that is not told */
  bool own_io : 1;     /* io's memory is the library's */
  bool secure : 1;     /* on_secure was called with 0 */
  bool told : 1;       /* on_secure was called, or need not be */
  bool paused : 1;     /* by the user */
  bool flowing : 1;    /* sp_stream_resume was called: read also without a listener */
  bool clogged : 1;    /* the target of a pipe does not take more */
  bool pipe_open : 1;  /* the pipe does not pass the end on */
  bool reading : 1;    /* uv_read_start is on */
  bool need_drain : 1; /* a write answered 0 */
  bool half_open : 1;
  bool held : 1;     /* the last flight of the handshake leaves with what its callback writes */
  bool full : 1;     /* the transport takes nothing now and tells when it does */
  bool eof : 1;      /* the transport ended */
  bool in_ended : 1; /* `end` was due and delivered */
  bool ending : 1;   /* sp_stream_end was called */
  bool fin : 1;      /* our side of the transport is shut down, or being so */
  bool fin_done : 1;
  bool lingering : 1; /* waits for the peer's close and drops what comes */
  bool failed : 1;    /* `error` is set */
  bool failure_told : 1;
  bool broken : 1;  /* the transport failed: nothing goes in or out any more */
  bool unheard : 1; /* our end could not be sent any more: the peer's is still awaited */
  bool over : 1;    /* it did when there was nothing to lose: `close` follows without an error */
  bool closing : 1; /* the transport is being closed */
  bool unref : 1;   /* sp_stream_unref was called */
  bool touched : 1; /* since the last sweep */
  bool idle_told : 1;
  bool cut : 1;       /* ends without close_notify */
  bool answered : 1;  /* a hook was: the handshake goes on */
  bool by_worker : 1; /* handshakes on worker threads, where that is possible */
  bool io_closed : 1; /* while the pair was with one */
};

/* stream.c */
void sp__settings_of(sp__settings_t *settings, const sp_options_t *options);
sp_stream_t *sp__stream_new(sp__loop_t *loop, sp_secure_cb on_secure,
                            const sp__settings_t *settings);
void sp__stream_bind(sp_stream_t *stream, uv_stream_t *io, bool own_io, sp_pair_t *pair,
                     const sp__settings_t *settings);
void sp__stream_free(sp_stream_t *stream);
void sp__stream_put_off(sp_stream_t *stream);
void sp__stream_touch(sp_stream_t *stream);
void sp__stream_cool(sp__loop_t *loop);

/* count.c */
void sp__stream_count_begin(sp_stream_t *stream);              /* the handshake begins */
void sp__stream_count_secure(sp_stream_t *stream, int status); /* and ends */
void sp__stream_count_pending(sp_stream_t *stream);
void sp__stream_count_gone(sp_stream_t *stream);

/* read.c */
void sp__stream_input(sp_stream_t *stream, const uint8_t *bytes, ssize_t n); /* by transports:
                               n bytes came, the end (UV_EOF), or an error */
void sp__stream_read_on(sp_stream_t *stream); /* what was held back, then from the transport */
void sp__stream_update_reading(sp_stream_t *stream);
void sp__stream_hear_last_words(sp_stream_t *stream); /* and fails: it is mute */
bool sp__stream_is_flowing(const sp_stream_t *stream);
void sp__stream_serve_waiting(sp__loop_t *loop);
void sp__stream_leave_turns(sp_stream_t *stream); /* waits for its handshake's turn no more */
/* The handshake goes on with what was held, if anything; by worker.c, as is the end of a step that
 * was given n bytes. */
void sp__stream_go_on(sp_stream_t *stream);
void sp__stream_step_done(sp_stream_t *stream, const uint8_t *bytes, size_t n);

/* write.c */
void sp__stream_flush(sp_stream_t *stream);
/* Lends the pair the loop's slab for what it has to send; flush_lent sends and takes it back. */
void sp__stream_lend(sp_stream_t *stream);
void sp__stream_flush_lent(sp_stream_t *stream);
/* Takes it back without sending: that is sp__stream_flush's, or sp__stream_send_held's. */
void sp__stream_hold_lent(sp_stream_t *stream);
void sp__stream_send_held(sp_stream_t *stream);
bool sp__stream_is_all_passed(const sp_stream_t *stream); /* all cleartext, to the transport */
/* For pipes: sends at once as much as goes and queues the rest. The same answers as
 * sp_stream_send, but for SP_EOVERFLOW. */
int sp__stream_push(sp_stream_t *stream, const uint8_t *bytes, size_t n);
/* By transports: it took n bytes more, or failed with a status. */
void sp__stream_has_room(sp_stream_t *stream, size_t n, int status);
void sp__stream_cancel_writes(sp_stream_t *stream, int status);
void sp__stream_tell_writes(sp_stream_t *stream);

/* finish.c */
void sp__stream_fail(sp_stream_t *stream, const sp_error_t *error);
void sp__stream_fail_transport(sp_stream_t *stream, int status, const char *doing);
void sp__stream_fail_writing(sp_stream_t *stream, int status);
void sp__stream_ended(sp_stream_t *stream, int status); /* the peer's direction */
int sp__stream_how_ended(const sp_stream_t *stream);    /* once it did: the status of `end` */
void sp__stream_finish(sp_stream_t *stream);            /* goes as far towards `close` as it can */
void sp__stream_tell_secure(sp_stream_t *stream, int status);
void sp__stream_close(sp_stream_t *stream);
void sp__stream_shut_down(sp_stream_t *stream); /* by transports: it is */
void sp__stream_closed(sp_stream_t *stream);    /* by transports: frees the stream */

/* limit.c: see sp__owner_calls_t */
void *sp__limit_set(void *stream, int milliseconds);
void sp__limit_end(void *limit);

/* pipe.c */
void sp__pipe_pass(sp_stream_t *from, const uint8_t *bytes, size_t n);
void sp__pipe_end(const sp_stream_t *from, sp_stream_t *to, int status);
void sp__pipe_drained(sp_stream_t *to);
void sp__pipe_gone(sp_stream_t *stream);

/* relay.c */
/* sp_stream_pipe_plain; `ours`: the library made `plain`, and closes it when the pipe is over. */
int sp__relay_make(sp_stream_t *stream, uv_stream_t *plain, int ways, sp_pipe_cb done, bool ours);
void sp__relay_pass(sp_stream_t *from, const uint8_t *bytes, size_t n);
void sp__relay_drained(sp_stream_t *to);
void sp__relay_ended(sp_stream_t *from, int status);
void sp__relay_gone(sp_stream_t *stream, int status);
bool sp__relay_takes_data(const sp_stream_t *stream);

/* connect.c */
void sp__connector_cancel(sp_stream_t *stream);

#endif
