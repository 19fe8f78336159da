/* The ports that drive the engine: encrypted in, cleartext in, cleartext out. */
#include <openssl/err.h>

#include "base/error.h"
#include "pair/pair.h"
#include "pair/target.h"

#define RECORD_MAX 16384u
#define RECORD_OVERHEAD_1_3 54u /* header, content type, tag (RFC 8446 5.2); and a key update */
#define RECORD_OVERHEAD_1_2 96u /* with room for explicit IV, padding and MAC of any suite */
#define RUNT 512u               /* less room than this at the end is not worth a record */

/* What SSL_get_error says is no error: more bytes, more room, a hook. Returns 0 or the error. */
static int blocked_or_failed(sp_pair_t *pair, int result) {
  switch (SSL_get_error(pair->ssl, result)) {
  case SSL_ERROR_WANT_WRITE:
    pair->blocked = true;
    return 0;
  case SSL_ERROR_WANT_READ:
  case SSL_ERROR_WANT_CLIENT_HELLO_CB:
  case SSL_ERROR_WANT_X509_LOOKUP: /* for the hook staple */
  case SSL_ERROR_WANT_ASYNC:
    return 0;
  case SSL_ERROR_ZERO_RETURN: /* a close_notify in place of the handshake */
    return sp__pair_fail_early(pair);
  default:
    return sp__pair_fail_engine(pair);
  }
}

static int become_secure(sp_pair_t *pair) {
  SSL_clear_mode(pair->ssl, SSL_MODE_ASYNC);
  int status = sp__pair_settle(pair);
  if (status < 0)
    return status;
  if ((status = sp__pair_allow_renegotiation(pair)) < 0)
    return status;
  pair->secure = true;
  sp__pair_watch_messages(pair);
  sp__target_secure(pair);
  sp__pair_drop_staple(pair);
  sp__pair_drop_session(pair);
  sp__pair_begin_keys(pair);
  sp__pair_tell_session(pair);
  return 0;
}

/* Hooks that are asked outside of the engine: true when it goes on. */
static bool answer_hooks(sp_pair_t *pair) {
  return pair->again || sp__pair_run_errand(pair) || sp__pair_answer_staple(pair);
}

int sp__pair_drive(sp_pair_t *pair) {
  int status = sp__pair_enter(pair);
  if (status < 0)
    return status;
  pair->blocked = false;
  int result;
  do {
    pair->again = false;
    result = SSL_do_handshake(pair->ssl);
  } while (answer_hooks(pair));
  status = result == 1 ? become_secure(pair) : blocked_or_failed(pair, result);
  return sp__pair_leave(pair, status);
}

int sp_pair_encrypted_in(sp_pair_t *pair, const void *bytes, size_t n) {
  if (pair->busy)
    return SP_EREENTRY;
  if (n) {
    pair->in = bytes;
    pair->in_left = n;
  }
  if (pair->error)
    return pair->error->status;
  if (pair->secure || pair->waiting)
    return 0;
  return sp__pair_drive(pair);
}

size_t sp_pair_encrypted_release(sp_pair_t *pair) {
  size_t left = pair->in_left;
  pair->in = NULL;
  pair->in_left = 0;
  /* nobody reads what comes after the end */
  return pair->peer_ended || pair->error ? 0 : left;
}

int sp_pair_encrypted_end(sp_pair_t *pair) {
  if (pair->busy)
    return SP_EREENTRY;
  if (pair->error)
    return pair->error->status;
  pair->transport_ended = true;
  if (!pair->secure)
    return sp__pair_fail_early(pair);
  if (!pair->peer_ended && !pair->in_left && !SSL_pending(pair->ssl))
    pair->truncated = true;
  return 0;
}

/* Whether to go on reading. */
static int read_result(sp_pair_t *pair, int result, int *status) {
  int error = SSL_get_error(pair->ssl, result);
  if (error == SSL_ERROR_ZERO_RETURN)
    pair->peer_ended = true;
  else if (error == SSL_ERROR_WANT_WRITE)
    pair->read_blocked = pair->blocked = true;
  else if (error != SSL_ERROR_WANT_READ)
    *status = sp__pair_fail_engine(pair);
  else
    return pair->in_left || pair->again; /* it was no application data: tickets, key updates */
  return 0;
}

static int read_records(sp_pair_t *pair, uint8_t *room, size_t size, size_t *got) {
  int status = 0;
  while (*got < size && !pair->peer_ended &&
         (pair->in_left || pair->again || SSL_pending(pair->ssl))) {
    size_t n = 0;
    pair->again = false;
    int result = SSL_read_ex(pair->ssl, room + *got, size - *got, &n);
    if (pair->news && (status = sp__pair_take_news(pair)) < 0)
      break; /* what was read came after that: of somebody else, perhaps */
    *got += n;
    if (result == 1 ? (status = sp__pair_count_read(pair)) < 0
                    : !read_result(pair, result, &status))
      break;
    if (pair->renegotiation && (status = sp__pair_begin_renegotiation(pair)) < 0)
      break; /* between two records; where the bytes end it is mostly amid of one */
  }
  return status;
}

/* With data unread a renegotiation has nothing to send: the peer did not answer yet. OpenSSL would
 * stumble over the data, which only a read may find within a handshake. */
int sp__pair_push(sp_pair_t *pair) {
  size_t left = pair->in_left;
  pair->blocked = false;
  if (pair->renegotiating && SSL_pending(pair->ssl))
    return 0;
  pair->in_left = 0;
  int result = SSL_do_handshake(pair->ssl);
  pair->in_left = left;
  int status = pair->news ? sp__pair_take_news(pair) : 0;
  return status < 0 || result == 1 ? status : blocked_or_failed(pair, result);
}

/* A handshake, or a message after it, that never gets whole: the peer said all that it has to say.
 * OpenSSL takes nothing of ours then, not even the end. */
static bool is_left_alone(const sp_pair_t *pair) {
  return (pair->peer_ended || pair->truncated) && SSL_in_init(pair->ssl) && !pair->blocked;
}

/* OpenSSL refuses to end while it has a message of the handshake to send or the rest of one to
 * read (a key update, a ticket): that comes first. */
static int send_end(sp_pair_t *pair) {
  int status = SSL_in_init(pair->ssl) ? sp__pair_push(pair) : 0;
  if (status < 0)
    return status;
  if (SSL_in_init(pair->ssl)) {
    pair->ended = is_left_alone(pair); /* nobody waits for a close_notify */
    return 0;
  }
  int result = SSL_shutdown(pair->ssl);
  pair->blocked = false;
  pair->ended = result >= 0;
  return pair->ended ? 0 : blocked_or_failed(pair, result);
}

void sp__pair_say_goodbye(sp_pair_t *pair) {
  if (!pair->ended && !SSL_in_init(pair->ssl))
    pair->ended = SSL_shutdown(pair->ssl) >= 0;
}

int sp_pair_cleartext_out(sp_pair_t *pair, void *room, size_t size, size_t *got) {
  *got = 0;
  int status = sp__pair_enter(pair);
  if (status < 0)
    return status;
  pair->read_blocked = false;
  if (pair->secure && size)
    status = read_records(pair, room, size, got);
  if (!status && pair->transport_ended && !pair->peer_ended && !pair->in_left &&
      !SSL_pending(pair->ssl))
    pair->truncated = true;
  if (!status && pair->ending && !pair->ended && !pair->read_blocked)
    status = send_end(pair);
  if (!status && !*got && pair->truncated)
    status = SP_ETRUNCATED;
  return sp__pair_leave(pair, status);
}

size_t sp__pair_record_room(const sp_pair_t *pair) {
  size_t overhead =
      SSL_version(pair->ssl) == TLS1_3_VERSION ? RECORD_OVERHEAD_1_3 : RECORD_OVERHEAD_1_2;
  size_t room = sp__pair_room(pair);
  if (room <= overhead)
    return 0;
  room -= overhead;
  if (pair->retry)
    return room < pair->retry ? 0 : pair->retry;
  return room < RUNT && pair->ahead ? 0 : room; /* with nothing ahead nothing makes more room */
}

/* How much of n bytes fits into one record and that record into the room that is left. */
static size_t record_size(sp_pair_t *pair, size_t n) {
  size_t room = sp__pair_record_room(pair);
  if (pair->retry)
    return pair->retry <= n ? room : 0;
  if (n > RECORD_MAX)
    n = RECORD_MAX;
  if (n > room)
    n = room;
  return n && pair->context->record_size ? sp__pair_limit_record(pair, n) : n;
}

static int write_records(sp_pair_t *pair, const uint8_t *bytes, size_t n, size_t *took) {
  if (n && is_left_alone(pair))
    return sp__pair_fail(pair, SP_EEARLYCLOSE, SP_PEER,
                         "the peer ended in the middle of a handshake, or of a message after one: "
                         "nothing can be sent any more");
  while (*took < n && !SSL_in_init(pair->ssl)) { /* else the engine has something of its own */
    size_t size = record_size(pair, n - *took), wrote = 0;
    if (!size)
      return 0;
    int result = SSL_write_ex(pair->ssl, bytes + *took, size, &wrote);
    if (result != 1) {
      pair->retry = size;
      return blocked_or_failed(pair, result);
    }
    pair->retry = 0;
    *took += wrote;
    if ((result = sp__pair_count_written(pair)) < 0)
      return result;
  }
  return 0;
}

int sp_pair_cleartext_in(sp_pair_t *pair, const void *bytes, size_t n, size_t *took) {
  *took = 0;
  int status = sp__pair_enter(pair);
  if (status < 0)
    return status;
  if (pair->ending)
    status = SP_EENDED;
  else if (pair->secure)
    status = write_records(pair, bytes, n, took);
  return sp__pair_leave(pair, status);
}

int sp_pair_end(sp_pair_t *pair) {
  int status = sp__pair_enter(pair);
  if (status < 0)
    return status;
  if (pair->secure && !pair->ended) {
    pair->ending = true;
    status = send_end(pair); /* which may have to wait for room */
  }
  return sp__pair_leave(pair, status);
}
