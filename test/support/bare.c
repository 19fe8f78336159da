#include "support/bare.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/err.h>

static SSL *make_engine(sp_role_t role, sp_protocol_t version) {
  SSL_CTX *context = SSL_CTX_new(TLS_method());
  assert_non_null(context);
  const pki_t *pki = pki_default()->server;
  SSL_CTX_set_min_proto_version(context, (int)version);
  SSL_CTX_set_max_proto_version(context, (int)version);
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  if (role == SP_SERVER) {
    assert_int_equal(SSL_CTX_use_certificate(context, pki->x509), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(context, pki->key), 1);
    SSL_CTX_set_num_tickets(context, 0);
  }
  SSL *ssl = SSL_new(context);
  SSL_CTX_free(context);
  assert_non_null(ssl);
  if (role == SP_SERVER)
    SSL_set_accept_state(ssl);
  else
    SSL_set_connect_state(ssl);
  return ssl;
}

static void on_poll(uv_poll_t *poll, int status, int events);

static void watch(bare_t *bare) {
  bool writes = bare->to_send || SSL_in_before(bare->ssl) || SSL_want_write(bare->ssl);
  assert_int_equal(uv_poll_start(&bare->poll, UV_READABLE | (writes ? UV_WRITABLE : 0), on_poll),
                   0);
}

static void begin(bare_t *bare) {
  assert_int_equal(uv_poll_init(&bare->fixture->loop, &bare->poll, bare->fd), 0);
  bare->poll.data = bare;
  assert_int_equal(SSL_set_fd(bare->ssl, bare->fd), 1);
  watch(bare);
}

static bare_t *bare_new(fixture_t *f, sp_role_t role, sp_protocol_t version) {
  bare_t *bare = calloc(1, sizeof *bare);
  assert_non_null(bare);
  bare->fixture = f;
  bare->fd = bare->listener = -1;
  bare->ssl = make_engine(role, version);
  return bare;
}

static struct sockaddr_in address_of(int port) {
  return (struct sockaddr_in){.sin_family = AF_INET,
                              .sin_port = htons((uint16_t)port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

bare_t *bare_connect(fixture_t *f, sp_protocol_t version) {
  bare_t *bare = bare_new(f, SP_CLIENT, version);
  struct sockaddr_in address = address_of(f->port);
  bare->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_int_equal(connect(bare->fd, (struct sockaddr *)&address, sizeof address), 0);
  assert_int_equal(fcntl(bare->fd, F_SETFL, O_NONBLOCK), 0);
  begin(bare);
  return bare;
}

static void on_listener_closed(uv_handle_t *handle) {
  bare_t *bare = handle->data;
  close(bare->listener);
  bare->listener = -1;
  begin(bare); /* the same handle, for the connection now */
}

static void on_client(uv_poll_t *poll, int status, int events) {
  bare_t *bare = poll->data;
  (void)status, (void)events;
  bare->fd = accept4(bare->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  assert_true(bare->fd >= 0);
  uv_close((uv_handle_t *)poll, on_listener_closed);
}

bare_t *bare_listen(fixture_t *f, sp_protocol_t version) {
  bare_t *bare = bare_new(f, SP_SERVER, version);
  struct sockaddr_in address = address_of(0);
  socklen_t size = sizeof address;
  bare->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_int_equal(bind(bare->listener, (struct sockaddr *)&address, sizeof address), 0);
  assert_int_equal(listen(bare->listener, 1), 0);
  assert_int_equal(getsockname(bare->listener, (struct sockaddr *)&address, &size), 0);
  bare->port = ntohs(address.sin_port);
  assert_int_equal(uv_poll_init(&f->loop, &bare->poll, bare->listener), 0);
  bare->poll.data = bare;
  assert_int_equal(uv_poll_start(&bare->poll, UV_READABLE, on_client), 0);
  return bare;
}

/* -- ending ----------------------------------------------------------------------------------- */

static void on_closed(uv_handle_t *handle) {
  bare_t *bare = handle->data;
  close(bare->fd);
  bare->fd = -1;
}

void bare_close(bare_t *bare) {
  if (bare->closed)
    return;
  bare->closed = true;
  uv_close((uv_handle_t *)&bare->poll, on_closed);
}

void bare_fin(bare_t *bare) { assert_int_equal(shutdown(bare->fd, SHUT_WR), 0); }
void bare_notify(bare_t *bare) { (void)bare_send_part(bare, NULL, 0, SIZE_MAX); }

void bare_reset(bare_t *bare) {
  const struct linger at_once = {.l_onoff = 1};
  assert_int_equal(setsockopt(bare->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
  bare_close(bare);
}

static void tell_end(bare_t *bare) {
  if (bare->told)
    return;
  bare->told = true;
  if (bare->on_end)
    bare->on_end(bare);
}

void bare_free(bare_t *bare) {
  assert_true(bare->closed && bare->fd == -1);
  SSL_free(bare->ssl);
  free(bare);
}

/* -- sending ---------------------------------------------------------------------------------- */

static void give_up(bare_t *bare, int error) {
  bare->error = error;
  ERR_clear_error();
  tell_end(bare);
  bare_close(bare);
}

/* Whether it only has to wait. */
static bool is_blocked(bare_t *bare, int result) {
  int error = SSL_get_error(bare->ssl, result), number = errno;
  bool cut = ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING;
  if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
    return true;
  give_up(bare, cut ? ENODATA : error == SSL_ERROR_SYSCALL && number ? number : EPROTO);
  return false;
}

static void go_on_sending(bare_t *bare) {
  while (bare->to_send && !bare->closed) {
    size_t n = 0;
    int result = SSL_write_ex(bare->ssl, bare->sending, bare->to_send, &n);
    if (result != 1 && (is_blocked(bare, result) || bare->closed))
      return;
    bare->sending += n;
    bare->to_send -= n;
  }
  if (bare->then_notify && !bare->closed) {
    bare->then_notify = false;
    bare_notify(bare);
    bare_fin(bare);
  }
}

void bare_send(bare_t *bare, const void *bytes, size_t n) {
  assert_int_equal(bare->to_send, 0);
  bare->sending = bytes;
  bare->to_send = n;
  go_on_sending(bare);
  if (!bare->closed)
    watch(bare);
}

size_t bare_send_part(bare_t *bare, const void *bytes, size_t n, size_t part) {
  BIO *memory = BIO_new(BIO_s_mem()), *socket = SSL_get_wbio(bare->ssl);
  char *record;
  BIO_up_ref(socket);
  SSL_set0_wbio(bare->ssl, memory);
  if (n)
    assert_int_equal(SSL_write(bare->ssl, bytes, (int)n), n);
  else
    assert_true(SSL_shutdown(bare->ssl) >= 0);
  size_t size = (size_t)BIO_get_mem_data(memory, &record);
  part = part < size ? part : size;
  assert_int_equal(send(bare->fd, record, part, MSG_NOSIGNAL), part);
  SSL_set0_wbio(bare->ssl, socket);
  return size;
}

/* -- receiving -------------------------------------------------------------------------------- */

static void check(bare_t *bare, const uint8_t *bytes, size_t n) {
  if (bare->pattern)
    assert_memory_equal(bytes, bare->pattern + bare->received, n);
  bare->received += n;
}

/* After the close_notify only the FIN should come. */
static void await_fin(bare_t *bare) {
  char byte;
  ssize_t n = recv(bare->fd, &byte, 1, 0);
  if (n > 0)
    bare->stray = true;
  else if (n == 0)
    bare->fin = true;
  else if (errno == EAGAIN)
    return;
  else
    bare->error = errno;
  tell_end(bare);
  if (!bare->to_send && !bare->then_notify)
    bare_close(bare);
}

static void receive(bare_t *bare) {
  static uint8_t room[65536];
  while (!bare->closed && !bare->notified) {
    size_t n = 0;
    errno = 0;
    int result = SSL_read_ex(bare->ssl, room, sizeof room, &n);
    if (result == 1)
      check(bare, room, n);
    else if (SSL_get_error(bare->ssl, result) == SSL_ERROR_ZERO_RETURN)
      bare->notified = true;
    else if (is_blocked(bare, result))
      return;
  }
  if (!bare->closed)
    await_fin(bare);
}

static void on_poll(uv_poll_t *poll, int status, int events) {
  bare_t *bare = poll->data;
  (void)status, (void)events;
  ERR_clear_error();
  if (!bare->secure) {
    errno = 0;
    int result = SSL_do_handshake(bare->ssl);
    if (result != 1) {
      (void)is_blocked(bare, result);
      return;
    }
    bare->secure = true;
    if (bare->on_secure)
      bare->on_secure(bare);
  }
  if (!bare->closed)
    go_on_sending(bare);
  if (!bare->closed)
    receive(bare);
  if (!bare->closed)
    watch(bare);
}
