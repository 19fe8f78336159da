/* A private key that another thread holds, as an HSM's or a signing process's would be: the hook
 * hands the message over, the loop goes on, and the handshake when the signature is there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/fixture.h"
#include "support/signing.h"

#define CLIENTS 8

typedef struct order {
  uv_work_t work;
  sp_pair_t *pair;
  uint16_t scheme;
  uint8_t message[8192], signature[1024];
  size_t n, size;
  uv_thread_t thread;
} order_t;

static const pki_t *pki;
static uv_loop_t *loop;
static int under_way, most;

static void sign(uv_work_t *work) {
  order_t *order = work->data;
  order->thread = uv_thread_self();
  order->size = signing_sign(pki->key, order->scheme, order->message, order->n, order->signature,
                             sizeof order->signature);
}

static void on_signed(uv_work_t *work, int status) {
  order_t *order = work->data;
  uv_thread_t self = uv_thread_self();
  assert_int_equal(status, 0);
  assert_false(uv_thread_equal(&self, &order->thread));
  under_way--;
  assert_int_equal(sp_pair_sign_with(order->pair, order->signature, order->size), 0);
  assert_int_equal(sp_pair_resume(order->pair, 0), 0);
  free(order);
}

static int on_sign(sp_pair_t *pair, uint16_t scheme, const uint8_t *message, size_t n, void *data) {
  (void)data;
  order_t *order = calloc(1, sizeof *order);
  assert_non_null(order);
  assert_in_range(n, 0, sizeof order->message);
  order->work.data = order;
  order->pair = pair;
  order->scheme = scheme;
  order->n = n;
  memcpy(order->message, message, n);
  most = ++under_way > most ? under_way : most;
  return uv_queue_work(loop, &order->work, sign, on_signed) ? SP_EREFUSED : SP_PENDING;
}

static void end(actor_t *actor, fixture_event_t event, int status) {
  if (event == ON_SECURE && !status && !actor->is_server)
    sp_stream_end(actor->stream);
}

static void another_thread_signs(void **state) {
  (void)state;
  static const char *const keys[] = {"ec", "rsa", "ed25519"};
  for (size_t k = 0; k < 3; k++)
    for (sp_protocol_t version = SP_TLS1_2; version <= SP_TLS1_3; version++) {
      fixture_t *f = fixture_new();
      loop = &f->loop;
      most = 0;
      pki = PKI_MAKE(pki_default()->root, .cn = "localhost", .dns = PKI_LIST("localhost"),
                     .ips = PKI_LIST("127.0.0.1"), .key = keys[k]);
      fixture_serve(f, SP_OPTIONS(.cert = pki->cert_pem, .hooks.sign = on_sign,
                                  .max_version = version, .handshakes_per_turn = CLIENTS));
      actor_t *clients[CLIENTS];
      for (int i = 0; i < CLIENTS; i++) {
        clients[i] = fixture_connect(f, FIXTURE_CLIENT(f, .session_cache = SP_NO));
        clients[i]->react = end;
      }
      fixture_run(f);
      for (int i = 0; i < CLIENTS; i++)
        assert_int_equal(clients[i]->statuses[ON_SECURE], 0);
      assert_int_equal(under_way, 0);
      assert_in_range(most, 1, CLIENTS);
      fixture_free(f);
    }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(another_thread_signs)};
  return cmocka_run_group_tests_name("sign-elsewhere", tests, NULL, NULL);
}
