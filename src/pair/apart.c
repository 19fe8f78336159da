/*
 * A handshake on another thread. The engine works there by itself; where it would have to ask
 * somebody it stops, and who owns the pair asks on the pair's own thread; what it would tell is
 * kept until then. While the pair is away its owner may only wait for it.
 */
#include "pair/lookup.h"

#include <string.h>

#include "base/memory.h"

/* What is told later: a session, or a line of the key log. */
struct sp__later {
  struct sp__later *next;
  sp__errand_t tell;
  SSL_SESSION *session;
  char line[];
};

/* -- news -------------------------------------------------------------------------------------- */

static void news_free(struct sp__later *news) {
  SSL_SESSION_free(news->session);
  sp__wipe(news->line, strlen(news->line));
  sp__free(news);
}

/* Without memory there is no news, as there is none then on the pair's own thread. */
static void keep(sp__apart_t *apart, sp__errand_t tell, SSL_SESSION *session, const char *line) {
  struct sp__later *news = sp__alloc(sizeof *news + strlen(line) + 1);
  if (!news)
    return;
  *news = (struct sp__later){.tell = tell, .session = session};
  memcpy(news->line, line, strlen(line) + 1);
  if (session)
    (void)SSL_SESSION_up_ref(session);
  if (apart->last)
    apart->last->next = news;
  else
    apart->first = news;
  apart->last = news;
}

static struct sp__later *take_news(sp__apart_t *apart) {
  struct sp__later *news = apart->first;
  if (news && !(apart->first = news->next))
    apart->last = NULL;
  return news;
}

void sp__pair_tell(sp_pair_t *pair, sp__errand_t tell, SSL_SESSION *session, const char *line) {
  if (sp__pair_is_away(pair))
    keep(pair->apart, tell, session, line ? line : "");
  else
    sp__pair_outside(pair, tell, session ? (void *)session : (void *)(uintptr_t)line);
}

static void tell_news(sp_pair_t *pair) {
  struct sp__later *news;
  while ((news = take_news(pair->apart))) {
    void *what = news->session ? (void *)news->session : (void *)news->line;
    sp__pair_outside(pair, news->tell, what);
    news_free(news);
  }
}

/* -- there and back ---------------------------------------------------------------------------- */

/* A job of OpenSSL's belongs to its thread, and keys known before are asked for inside of the
 * engine: such handshakes stay. */
bool sp__pair_may_leave(const sp_pair_t *pair) {
  return !pair->context->is_signed_by_hook && !sp__pair_asks_for_keys(pair);
}

void sp__pair_depart(sp_pair_t *pair, sp__apart_t *apart) {
  apart->asks = false;
  apart->bytes_in = pair->bytes_in;
  apart->bytes_out = pair->bytes_out;
  apart->away = true;
  pair->apart = apart;
}

/* Whoever is asked here may answer later, too: then the pair waits as ever. */
static void ask(sp_pair_t *pair) {
  if (pair->staple == SP__STAPLE_DUE) {
    pair->busy = true;
    (void)sp__pair_answer_staple(pair);
    pair->busy = false;
  } else {
    (void)sp__pair_drive(pair);
  }
}

bool sp__pair_return(sp_pair_t *pair) {
  bool asks = pair->apart->asks;
  pair->apart->away = false;
  if (pair->apart->forbids_renegotiation)
    sp_pair_disable_renegotiation(pair);
  pair->busy = true; /* what is told may not enter it */
  tell_news(pair);
  pair->busy = false;
  if (asks && !pair->error)
    ask(pair);
  return asks && !pair->waiting && !pair->error && !pair->secure && sp__pair_may_leave(pair);
}

void sp__pair_stay(sp_pair_t *pair) {
  struct sp__later *news;
  while ((news = take_news(pair->apart)))
    news_free(news);
  pair->apart = NULL;
}

bool sp__pair_stops_to_ask(const sp_pair_t *pair) {
  void *data;
  return sp__pair_is_away(pair) &&
         (pair->lookup || sp__pair_store(pair) || sp__hooks_any(sp__pair_hooks(pair, &data)));
}
