#include "starttls.h"

#include <string.h>

/* A line that is awaited, and what is said after it. */
typedef struct row {
  const char *good; /* the last line of the answer begins so */
  const char *more; /* lines that begin so come before it; NULL: none do */
  const char *send; /* %s is the host; NULL: TLS begins */
} row_t;

struct cli_protocol {
  const char *name;
  int port;
  const row_t *rows; /* of a protocol in lines */
  /* of the others: what comes first, and one step */
  cli_step_t (*begin)(cli_talk_t *talk);
  cli_step_t (*hear)(cli_talk_t *talk);
};

static cli_step_t fail(cli_talk_t *talk, const char *what, const void *said, size_t n) {
  size_t at = (size_t)snprintf(talk->error, sizeof talk->error, "%s%s", what, n ? ": " : "");
  const uint8_t *bytes = said;
  for (size_t i = 0; bytes && i < n && at + 1 < sizeof talk->error; i++)
    talk->error[at++] = (char)(bytes[i] >= ' ' && bytes[i] <= '~' ? bytes[i] : ' ');
  talk->error[at < sizeof talk->error ? at : sizeof talk->error - 1] = '\0';
  return CLI_STEP_FAILED;
}

static void forget(cli_talk_t *talk, size_t n) {
  talk->n -= n;
  memmove(talk->bytes, talk->bytes + n, talk->n);
}

static cli_step_t send_bytes(cli_talk_t *talk, const void *bytes, size_t n) {
  memcpy(talk->reply, bytes, n);
  talk->reply_size = n;
  talk->step++;
  return CLI_STEP_SEND;
}

/* -- protocols in lines ------------------------------------------------------------------------ */

/* RFC 3207, 9051 (6.2.1), 2595, 4217, 4642, 5804 */
static const row_t smtp[] = {{"220", "220-", "EHLO securepair.invalid\r\n"},
                             {"250", "250-", "STARTTLS\r\n"},
                             {"220", "220-", NULL}};
static const row_t imap[] = {{"* OK", NULL, "a STARTTLS\r\n"}, {"a OK", "*", NULL}};
static const row_t pop3[] = {{"+OK", NULL, "STLS\r\n"}, {"+OK", NULL, NULL}};
static const row_t ftp[] = {{"220", "220-", "AUTH TLS\r\n"}, {"234", "234-", NULL}};
static const row_t nntp[] = {{"20", NULL, "STARTTLS\r\n"}, {"382", NULL, NULL}};
static const row_t sieve[] = {{"OK", "\"", "STARTTLS\r\n"}, {"OK", NULL, NULL}};

static bool begins(const uint8_t *line, size_t n, const char *what) {
  return what && n >= strlen(what) && !strncasecmp((const char *)line, what, strlen(what));
}

/* A line of a multi-line FTP greeting may begin with anything. */
static bool goes_on(const cli_talk_t *talk, const row_t *row, const uint8_t *line, size_t n) {
  if (begins(line, n, row->more))
    return true;
  return talk->protocol->rows == ftp && n && *line == ' ';
}

static cli_step_t hear_lines(cli_talk_t *talk) {
  for (;;) {
    const row_t *row = talk->protocol->rows + talk->step;
    const uint8_t *end = memchr(talk->bytes, '\n', talk->n);
    if (!end)
      return talk->n < sizeof talk->bytes
                 ? CLI_STEP_MORE
                 : fail(talk, "the server says a line without end", talk->bytes, 60);
    size_t n = (size_t)(end - talk->bytes) + 1;
    bool more = goes_on(talk, row, talk->bytes, n);
    if (!more && !begins(talk->bytes, n, row->good))
      return fail(talk,
                  talk->step ? "the server does not turn to TLS, it said"
                             : "the server does not speak this protocol, it said",
                  talk->bytes, n - 1);
    forget(talk, n);
    if (more)
      continue;
    if (!row->send)
      return CLI_STEP_READY;
    return send_bytes(talk, row->send, strlen(row->send));
  }
}

/* -- XMPP (RFC 6120 5) ------------------------------------------------------------------------- */

static cli_step_t begin_xmpp(cli_talk_t *talk) {
  char text[sizeof talk->reply];
  int n = snprintf(text, sizeof text,
                   "<?xml version='1.0'?><stream:stream to='%.255s' xmlns='jabber:client' "
                   "xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>",
                   talk->host);
  return send_bytes(talk, text, (size_t)n);
}

/* Where the first `what` ends; 0: it did not come yet. */
static size_t end_of(const cli_talk_t *talk, const char *what) {
  const uint8_t *at = memmem(talk->bytes, talk->n, what, strlen(what));
  return at ? (size_t)(at - talk->bytes) + strlen(what) : 0;
}

static cli_step_t hear_proceed(cli_talk_t *talk) {
  size_t start = end_of(talk, "<proceed");
  const uint8_t *close = start ? memchr(talk->bytes + start, '>', talk->n - start) : NULL;
  if (end_of(talk, "<failure") || end_of(talk, "</stream:stream>"))
    return fail(talk, "the server does not turn to TLS, it said", talk->bytes, talk->n);
  if (!close)
    return CLI_STEP_MORE;
  size_t n = (size_t)(close - talk->bytes) + 1;
  if (close[-1] != '/') { /* <proceed ...></proceed> */
    size_t end = end_of(talk, "</proceed>");
    if (!end)
      return CLI_STEP_MORE;
    n = end;
  }
  forget(talk, n);
  return CLI_STEP_READY;
}

static cli_step_t hear_xmpp(cli_talk_t *talk) {
  static const char ask[] = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
  if (talk->step == 2)
    return hear_proceed(talk);
  size_t end = end_of(talk, "</stream:features>");
  if (end_of(talk, "<stream:error"))
    return fail(talk, "the server refuses, it said", talk->bytes, talk->n);
  if (!end)
    return talk->n < sizeof talk->bytes ? CLI_STEP_MORE
                                        : fail(talk, "the server does not speak XMPP", NULL, 0);
  if (!end_of(talk, "urn:ietf:params:xml:ns:xmpp-tls"))
    return fail(talk, "the server does not offer STARTTLS", NULL, 0);
  forget(talk, end);
  return send_bytes(talk, ask, sizeof ask - 1);
}

/* -- LDAP (RFC 4511 4.14) ---------------------------------------------------------------------- */

static cli_step_t begin_ldap(cli_talk_t *talk) {
  static const char request[] = "\x30\x1d\x02\x01\x01\x77\x18\x80\x16"
                                "1.3.6.1.4.1.1466.20037";
  return send_bytes(talk, request, sizeof request - 1);
}

/* The contents of one BER element: its tag and size; *size counts from `at`. 0: more is needed. */
static size_t open_ber(const uint8_t *at, size_t n, size_t *size) {
  size_t head = 2;
  if (n < 2)
    return 0;
  *size = at[1];
  if (at[1] & 0x80) {
    size_t count = at[1] & 0x7f;
    if (!count || count > 3 || n < 2 + count)
      return 0;
    *size = 0;
    for (size_t i = 0; i < count; i++)
      *size = *size << 8 | at[2 + i];
    head += count;
  }
  return n - head >= *size ? head : 0;
}

static cli_step_t hear_ldap(cli_talk_t *talk) {
  size_t all = 0, size = 0, head = open_ber(talk->bytes, talk->n, &all);
  if (talk->n && talk->bytes[0] != 0x30)
    return fail(talk, "the server does not speak LDAP, it said", talk->bytes, talk->n);
  if (!head)
    return talk->n < sizeof talk->bytes ? CLI_STEP_MORE
                                        : fail(talk, "the server does not speak LDAP", NULL, 0);
  const uint8_t *at = talk->bytes + head, *end = at + all;
  /* the message's number, then the extended response, whose first element is the result */
  size_t number = open_ber(at, (size_t)(end - at), &size);
  at += number + size;
  size_t inner = number && at < end && *at == 0x78 ? open_ber(at, (size_t)(end - at), &size) : 0;
  at += inner;
  if (!inner || end - at < 3 || at[0] != 0x0a || at[1] != 1)
    return fail(talk, "the server's answer is no LDAP extended response", NULL, 0);
  if (at[2])
    return fail(talk, "the server does not turn to TLS", NULL, 0);
  forget(talk, head + all);
  return CLI_STEP_READY;
}

/* -- PostgreSQL (protocol 3, SSLRequest) ------------------------------------------------------- */

static cli_step_t begin_postgres(cli_talk_t *talk) {
  static const uint8_t request[] = {0, 0, 0, 8, 4, 210, 22, 47};
  return send_bytes(talk, request, sizeof request);
}

static cli_step_t hear_postgres(cli_talk_t *talk) {
  if (!talk->n)
    return CLI_STEP_MORE;
  if (talk->bytes[0] == 'N')
    return fail(talk, "the server has TLS switched off (ssl = on in postgresql.conf)", NULL, 0);
  if (talk->bytes[0] != 'S')
    return fail(talk, "the server does not speak PostgreSQL's protocol, it said", talk->bytes,
                talk->n);
  forget(talk, 1);
  return CLI_STEP_READY;
}

/* -- MySQL and MariaDB (connection phase, protocol 10) ----------------------------------------- */

#define MYSQL_SSL 0x0800u

static cli_step_t hear_mysql(cli_talk_t *talk) {
  /* long passwords, protocol 4.1, SSL, secure connection; packets of 16 MB; utf8 */
  static const uint8_t request[36] = {32, 0, 0, 1, 0x01, 0x8a, 0, 0, 0, 0, 0, 1, 33};
  if (talk->step == 1) /* nothing is answered: TLS begins with us */
    return CLI_STEP_READY;
  const uint8_t *head = talk->bytes;
  size_t size = talk->n < 4 ? 0 : (size_t)(head[0] | head[1] << 8 | head[2] << 16);
  if (talk->n < 4 || talk->n < 4 + size)
    return talk->n < sizeof talk->bytes ? CLI_STEP_MORE
                                        : fail(talk, "the server does not speak MySQL", NULL, 0);
  const uint8_t *at = talk->bytes + 4, *end = at + size;
  if (size && *at == 0xff)
    return fail(talk, "the server refuses, it said", at + 1, size - 1);
  const uint8_t *nul = size && *at == 10 ? memchr(at, 0, size) : NULL;
  if (!nul || end - nul < 1 + 4 + 8 + 1 + 2)
    return fail(talk, "the server does not speak MySQL's protocol 10", NULL, 0);
  const uint8_t *abilities = nul + 1 + 4 + 8 + 1;
  if (!((unsigned)(abilities[0] | abilities[1] << 8) & MYSQL_SSL))
    return fail(talk, "the server has TLS switched off", NULL, 0);
  forget(talk, 4 + size);
  return send_bytes(talk, request, sizeof request);
}

/* -- all --------------------------------------------------------------------------------------- */

static const cli_protocol_t protocols[] = {
    {"smtp", 25, smtp, NULL, hear_lines},
    {"imap", 143, imap, NULL, hear_lines},
    {"pop3", 110, pop3, NULL, hear_lines},
    {"ftp", 21, ftp, NULL, hear_lines},
    {"ldap", 389, NULL, begin_ldap, hear_ldap},
    {"xmpp", 5222, NULL, begin_xmpp, hear_xmpp},
    {"postgres", 5432, NULL, begin_postgres, hear_postgres},
    {"mysql", 3306, NULL, NULL, hear_mysql},
    {"nntp", 119, nntp, NULL, hear_lines},
    {"sieve", 4190, sieve, NULL, hear_lines},
};

const cli_protocol_t *cli_protocol_find(const char *name) {
  for (size_t i = 0; i < sizeof protocols / sizeof *protocols; i++)
    if (!strcmp(protocols[i].name, name))
      return protocols + i;
  return NULL;
}

int cli_protocol_port(const cli_protocol_t *protocol) { return protocol->port; }

const char *cli_protocol_names(void) {
  return "smtp, imap, pop3, ftp, ldap, xmpp, postgres, mysql, nntp, sieve";
}

cli_step_t cli_talk_begin(cli_talk_t *talk, const cli_protocol_t *protocol, const char *host) {
  talk->protocol = protocol;
  talk->host = host;
  talk->step = talk->n = talk->reply_size = 0;
  return protocol->begin ? protocol->begin(talk) : CLI_STEP_MORE;
}

cli_step_t cli_talk_hear(cli_talk_t *talk, const void *bytes, size_t n) {
  size_t room = sizeof talk->bytes - talk->n;
  if (n > room)
    return fail(talk, "the server says too much before TLS", NULL, 0);
  if (n)
    memcpy(talk->bytes + talk->n, bytes, n);
  talk->n += n;
  return talk->protocol->hear(talk);
}
