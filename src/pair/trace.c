/* Tracing: a line for each message of the handshake, by request only. */
#include "pair/describe.h"
#include "pair/pair.h"

static bool is_wanted(const sp_pair_t *pair) {
  void *data;
  return sp__pair_hooks(pair, &data)->trace != NULL;
}

static void tell_line(sp_pair_t *pair, void *line) {
  void *data;
  const sp_hooks_t *hooks = sp__pair_hooks(pair, &data);
  if (hooks->trace && !pair->doomed)
    hooks->trace(pair, line, data);
}

static void tell(sp_pair_t *pair, void *message) {
  char line[SP__LINE];
  if (sp__describe(line, message))
    tell_line(pair, line);
}

/* From another thread as a line, which is told when the pair is back. */
static void tell_later(sp_pair_t *pair, const sp__message_t *message) {
  char line[SP__LINE];
  if (sp__describe(line, message))
    sp__pair_tell(pair, tell_line, NULL, line);
}

/* Records are not told of; but of a ChangeCipherSpec that came OpenSSL tells the record only. */
static int kind_of(int sent, int type, const uint8_t *bytes, size_t n) {
  bool is_change = !sent && type == SSL3_RT_HEADER && n && *bytes == SSL3_RT_CHANGE_CIPHER_SPEC;
  return is_change ? SSL3_RT_CHANGE_CIPHER_SPEC : type;
}

static void note(const SSL *ssl, int sent, int type, const void *bytes, size_t n) {
  if (sent || type != SSL3_RT_HANDSHAKE)
    return;
  sp__pair_note_hello(SSL_get_app_data(ssl), bytes, n);
  sp__pair_note_request(SSL_get_app_data(ssl), bytes);
}

/* Without a trace; a handshake has two dozen of them. */
static void on_hello(int sent, int version, int type, const void *bytes, size_t n, SSL *ssl,
                     void *unused) {
  (void)version, (void)unused;
  note(ssl, sent, type, bytes, n);
}

/* OpenSSL's buffer stays as it is while a job pauses for this. */
static void on_message(int sent, int version, int type, const void *bytes, size_t n, SSL *ssl,
                       void *unused) {
  sp_pair_t *pair = SSL_get_app_data(ssl);
  int kind = kind_of(sent, type, bytes, n);
  sp__message_t message = {.ssl = ssl, .type = kind, .sent = sent, .bytes = bytes, .n = n};
  (void)version, (void)unused;
  note(ssl, sent, type, bytes, n);
  if (pair->doomed || !is_wanted(pair))
    return;
  if (sp__pair_is_away(pair))
    tell_later(pair, &message);
  else if (kind <= SSL3_RT_HANDSHAKE)
    sp__pair_outside(pair, tell, &message);
}

void sp__pair_watch_messages(sp_pair_t *pair) {
  bool is_server = pair->role == SP_SERVER;
  bool needs_hello = pair->secure ? !is_server && pair->renegotiation : is_server;
  SSL_set_msg_callback(pair->ssl, is_wanted(pair) ? on_message : needs_hello ? on_hello : NULL);
}

void sp_trace_print(sp_pair_t *pair, const char *line, void *file) {
  (void)pair;
  fprintf(file, "%s\n", line);
}
