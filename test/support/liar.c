#include "support/liar.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void finish(liar_t *liar) {
  liar->ended = true;
  if (liar->end == BY_FIN)
    raw_fin(liar->raw);
  else if (liar->end == BY_RESET)
    raw_reset(liar->raw);
}

static void send_some(liar_t *liar, size_t n) {
  size_t rest = liar->limit - liar->sent;
  if (n > rest)
    n = rest;
  for (size_t at = 0, step; at < n; at += step) {
    step = liar->burst && liar->burst < n - at ? liar->burst : n - at;
    raw_send(liar->raw, liar->pending + at, step);
  }
  liar->sent += n;
  liar->pending_size -= n;
  memmove(liar->pending, liar->pending + n, liar->pending_size);
  bool secure = sp_pair_state(liar->pair) & SP_PAIR_SECURE;
  liar->complete = secure && !liar->pending_size;
  if (!liar->ended && liar->end != NEVER && (liar->sent == liar->limit || liar->complete))
    finish(liar);
}

static void collect(liar_t *liar) {
  const void *bytes;
  size_t n;
  while ((n = sp_pair_encrypted_out(liar->pair, &bytes))) {
    assert_true(liar->pending_size + n <= sizeof liar->pending);
    memcpy(liar->pending + liar->pending_size, bytes, n);
    liar->pending_size += n;
    sp_pair_encrypted_sent(liar->pair, n);
  }
}

static void pump(liar_t *liar) {
  collect(liar);
  if (!liar->trickle && !liar->ended)
    send_some(liar, liar->pending_size);
}

size_t liar_says(liar_t *liar, const void *bytes, size_t n, size_t flip) {
  size_t took, before;
  collect(liar);
  before = liar->pending_size;
  assert_int_equal(sp_pair_cleartext_in(liar->pair, bytes, n, &took), 0);
  assert_int_equal(took, n);
  collect(liar);
  size_t size = liar->pending_size - before;
  if (flip)
    liar->pending[before + flip - 1] ^= 4;
  pump(liar);
  return size;
}

static void on_turn(uv_idle_t *turn) {
  liar_t *liar = turn->data;
  if (liar->pending_size && !liar->ended)
    send_some(liar, 1);
  if (liar->raw->closed || uv_is_closing((uv_handle_t *)&liar->raw->tcp))
    uv_close((uv_handle_t *)turn, NULL);
}

static void hear(raw_t *raw) {
  liar_t *liar = raw->data;
  uint8_t room[1000];
  size_t got, size = raw->got_size;
  raw->got_size = 0; /* the room serves again */
  if (sp_pair_encrypted_in(liar->pair, raw->got, size) == 0)
    (void)sp_pair_cleartext_out(liar->pair, room, sizeof room, &got);
  (void)sp_pair_encrypted_release(liar->pair);
  if (sp_pair_state(liar->pair) & SP_PAIR_PEER_ENDED)
    (void)sp_pair_end(liar->pair);
  pump(liar);
  if (!liar->told && sp_pair_state(liar->pair) & SP_PAIR_SECURE) {
    liar->told = true;
    if (liar->when_secure)
      liar->when_secure(liar);
  }
}

void liar_opens(raw_t *raw) {
  liar_t *liar = raw->data;
  sp_role_t role = raw->raws->port ? SP_SERVER : SP_CLIENT;
  liar->raw = raw;
  raw->on_bytes = hear;
  if (sp_pair_new(&liar->pair, liar->context, role, role == SP_CLIENT ? "localhost" : NULL, true,
                  NULL) < 0)
    fail_msg("no pair");
  if (liar->trickle) {
    assert_int_equal(uv_idle_init(&raw->raws->fixture->loop, &liar->turn), 0);
    liar->turn.data = liar;
    uv_idle_start(&liar->turn, on_turn);
  }
  pump(liar);
  if (!liar->limit && !liar->ended)
    finish(liar);
}
