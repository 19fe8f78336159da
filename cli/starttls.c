#include "starttls.h"

#include <ctype.h>
#include <string.h>

/* An answer that is awaited, and what is said after it. In `good` and `more` a # is any digit. */
typedef struct row {
  const char *good;  /* the last line of the answer begins with this word */
  const char *more;  /* lines that begin so come before it; NULL: none do */
  const char *offer; /* one of the lines has this in it, or TLS is not to be had; NULL: who knows */
  const char *send;  /* NULL: TLS begins */
} row_t;

struct cli_protocol {
  const char *name;
  int port;
  bool free_lines;   /* after a line of `more` any line goes on, up to that of `good` */
  const row_t *rows; /* of a protocol in lines */
  /* of the others: what comes first, and one step */
  cli_step_t (*begin)(cli_talk_t *talk);
  cli_step_t (*hear)(cli_talk_t *talk);
};

/* What the server said goes along, on one line, in printable ASCII, and not all of it. */
static cli_step_t fail(cli_talk_t *talk, const char *what, const void *said, size_t n) {
  const uint8_t *bytes = said;
  size_t room = sizeof talk->error;
  while (bytes && n && isspace(bytes[n - 1]))
    n--;
  size_t at = (size_t)snprintf(talk->error, room, "%s%s", what, n ? ", it said: \"" : "");
  size_t i = 0;
  for (; i < n && at + 9 < room; i++)
    at += (size_t)snprintf(talk->error + at, room - at,
                           bytes[i] >= ' ' && bytes[i] <= '~' ? "%c" : "\\x%02X", bytes[i]);
  if (n)
    (void)snprintf(talk->error + at, room - at, "%s\"", i < n ? "..." : "");
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
  talk->sending = true;
  talk->goes_on = talk->offered = false;
  return CLI_STEP_SEND;
}

static const char no_offer[] = "the server does not offer TLS here: it is switched off there, or "
                               "somebody between took the offer away";
static const char no_turn[] = "the server refuses to turn to TLS";

/* -- protocols in lines ------------------------------------------------------------------------ */

/* RFC 3207, 9051 (6.2.1), 2595, 4217, 4642, 5804 */
static const row_t smtp[] = {{"220", "220-", NULL, "EHLO securepair.invalid\r\n"},
                             {"250", "250-", "STARTTLS", "STARTTLS\r\n"},
                             {"220", "220-", NULL, NULL}};
static const row_t imap[] = {{"* OK", NULL, NULL, "a STARTTLS\r\n"}, {"a OK", "* ", NULL, NULL}};
static const row_t pop3[] = {{"+OK", NULL, NULL, "STLS\r\n"}, {"+OK", NULL, NULL, NULL}};
static const row_t ftp[] = {{"220", "220-", NULL, "AUTH TLS\r\n"}, {"234", "234-", NULL, NULL}};
static const row_t nntp[] = {{"20#", NULL, NULL, "STARTTLS\r\n"}, {"382", NULL, NULL, NULL}};
static const row_t sieve[] = {{"OK", "\"", "\"STARTTLS\"", "STARTTLS\r\n"},
                              {"OK", NULL, NULL, NULL}};

static bool begins(const uint8_t *line, size_t n, const char *what) {
  size_t size = what ? strlen(what) : 0;
  if (!size || n < size)
    return false;
  for (size_t i = 0; i < size; i++)
    if (what[i] == '#' ? !isdigit(line[i]) : toupper(line[i]) != toupper((uint8_t)what[i]))
      return false;
  return true;
}

/* The word stands alone: "220 ready", but neither "2200" nor "220-". */
static bool is_last(const uint8_t *line, size_t n, const char *good) {
  return begins(line, n, good) && !isalnum(line[strlen(good)]) && line[strlen(good)] != '-';
}

static bool offers(const uint8_t *line, size_t n, const char *what) {
  for (size_t i = 0; what && i + strlen(what) <= n; i++)
    if (begins(line + i, n - i, what))
      return true;
  return false;
}

/* Another word than the one that was awaited: is it at least of this protocol? */
static const char *refusal(const cli_talk_t *talk, const uint8_t *line, size_t n) {
  static const char *const words[] = {"4##", "5##", "* BYE", "-ERR", "NO", "BYE"};
  if (talk->step)
    return no_turn;
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (is_last(line, n, words[i]))
      return "the server refuses us";
  return "the server does not speak this protocol";
}

/* `n` with the newline, so that there is a byte after any word. */
static cli_step_t hear_line(cli_talk_t *talk, const uint8_t *line, size_t n) {
  const row_t *row = talk->protocol->rows + talk->step;
  talk->offered = talk->offered || offers(line, n, row->offer);
  bool last = is_last(line, n, row->good), more = begins(line, n, row->more);
  talk->goes_on = more || (talk->goes_on && talk->protocol->free_lines && !last);
  if (talk->goes_on)
    return CLI_STEP_MORE;
  if (!last)
    return fail(talk, refusal(talk, line, n), line, n);
  if (row->offer && !talk->offered)
    return fail(talk, no_offer, NULL, 0);
  return row->send ? send_bytes(talk, row->send, strlen(row->send)) : CLI_STEP_READY;
}

static cli_step_t hear_lines(cli_talk_t *talk) {
  for (;;) {
    const uint8_t *end = memchr(talk->bytes, '\n', talk->n);
    if (!end && talk->n > sizeof talk->bytes / 2)
      return fail(talk, "the server says a line without end", talk->bytes, 60);
    if (!end)
      return CLI_STEP_MORE;
    size_t n = (size_t)(end - talk->bytes) + 1;
    cli_step_t step = hear_line(talk, talk->bytes, n);
    forget(talk, n);
    if (step != CLI_STEP_MORE)
      return step;
  }
}

/* -- XMPP (RFC 6120 5) ------------------------------------------------------------------------- */

static cli_step_t begin_xmpp(cli_talk_t *talk) {
  char text[sizeof talk->reply];
  if (strpbrk(talk->host, "<>&'\""))
    return fail(talk, "this is no name to ask an XMPP server for", NULL, 0);
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
    return fail(talk, no_turn, talk->bytes, talk->n);
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
    return fail(talk, "the server refuses", talk->bytes, talk->n);
  if (talk->n && talk->bytes[0] != '<')
    return fail(talk, "the server does not speak XMPP", talk->bytes, talk->n);
  if (!end)
    return talk->n < sizeof talk->bytes ? CLI_STEP_MORE
                                        : fail(talk, "the server does not speak XMPP", NULL, 0);
  if (!end_of(talk, "urn:ietf:params:xml:ns:xmpp-tls"))
    return fail(talk, no_offer, NULL, 0);
  forget(talk, end);
  return send_bytes(talk, ask, sizeof ask - 1);
}

/* -- LDAP (RFC 4511 4.14) ---------------------------------------------------------------------- */

static cli_step_t begin_ldap(cli_talk_t *talk) {
  static const char request[] = "\x30\x1d\x02\x01\x01\x77\x18\x80\x16"
                                "1.3.6.1.4.1.1466.20037";
  return send_bytes(talk, request, sizeof request - 1);
}

typedef struct ber {
  uint8_t tag;
  const uint8_t *bytes;
  size_t size;
} ber_t;

/* One element of BER at *at, which is moved behind it. False: it does not end before `end`. */
static bool take_ber(ber_t *element, const uint8_t **at, const uint8_t *end) {
  const uint8_t *p = *at;
  if (end - p < 2)
    return false;
  element->tag = *p++;
  size_t size = *p++, count = size & 0x80 ? size & 0x7f : 0;
  if (count > 4 || /* Active Directory takes four, always */
      (size_t)(end - p) < count || size == 0x80)
    return false;
  if (count)
    size = 0;
  for (; count; count--)
    size = size << 8 | *p++;
  if ((size_t)(end - p) < size)
    return false;
  element->bytes = p;
  element->size = size;
  *at = p + size;
  return true;
}

/* The extended response: a number, the name that matched, a text for people. */
static cli_step_t judge_ldap(cli_talk_t *talk, const ber_t *message) {
  const uint8_t *at = message->bytes, *end = at + message->size;
  ber_t number, response, result, name, text;
  if (!take_ber(&number, &at, end) || !take_ber(&response, &at, end) || response.tag != 0x78)
    return fail(talk, "the server's answer is no LDAP extended response", NULL, 0);
  at = response.bytes;
  end = at + response.size;
  if (!take_ber(&result, &at, end) || result.tag != 0x0a || result.size != 1 ||
      !take_ber(&name, &at, end) || !take_ber(&text, &at, end))
    return fail(talk, "the server's answer is no LDAP extended response", NULL, 0);
  return *result.bytes ? fail(talk, no_turn, text.bytes, text.size) : CLI_STEP_READY;
}

static cli_step_t hear_ldap(cli_talk_t *talk) {
  const uint8_t *at = talk->bytes;
  ber_t message;
  if (talk->n && *at != 0x30)
    return fail(talk, "the server does not speak LDAP", talk->bytes, talk->n);
  if (!take_ber(&message, &at, at + talk->n))
    return talk->n < sizeof talk->bytes ? CLI_STEP_MORE
                                        : fail(talk, "the server does not speak LDAP", NULL, 0);
  cli_step_t step = judge_ldap(talk, &message);
  if (step == CLI_STEP_READY)
    forget(talk, (size_t)(at - talk->bytes));
  return step;
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
    return fail(talk, "the server has TLS switched off (\"ssl = on\" in postgresql.conf)", NULL, 0);
  if (talk->bytes[0] == 'E') /* of old ones, and of those with no room for another client */
    return fail(talk, no_turn, talk->bytes + 1, talk->n - 1);
  if (talk->bytes[0] != 'S')
    return fail(talk, "the server does not speak PostgreSQL's protocol", talk->bytes, talk->n);
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
  if (size > 3 && *at == 0xff) /* a number, a text */
    return fail(talk, "the server refuses us", at + 3, size - 3);
  const uint8_t *nul = size && *at == 10 ? memchr(at, 0, size) : NULL;
  if (!nul || end - nul < 1 + 4 + 8 + 1 + 2)
    return fail(talk, "the server does not speak MySQL's protocol 10", NULL, 0);
  const uint8_t *abilities = nul + 1 + 4 + 8 + 1;
  if (!((unsigned)(abilities[0] | abilities[1] << 8) & MYSQL_SSL))
    return fail(talk, no_offer, NULL, 0);
  forget(talk, 4 + size);
  return send_bytes(talk, request, sizeof request);
}

/* -- all --------------------------------------------------------------------------------------- */

static const cli_protocol_t protocols[] = {
    {"smtp", 25, false, smtp, NULL, hear_lines},
    {"imap", 143, false, imap, NULL, hear_lines},
    {"pop3", 110, false, pop3, NULL, hear_lines},
    {"ftp", 21, true, ftp, NULL, hear_lines}, /* RFC 959 4.2 */
    {"ldap", 389, false, NULL, begin_ldap, hear_ldap},
    {"xmpp", 5222, false, NULL, begin_xmpp, hear_xmpp},
    {"postgres", 5432, false, NULL, begin_postgres, hear_postgres},
    {"mysql", 3306, false, NULL, NULL, hear_mysql},
    {"nntp", 119, false, nntp, NULL, hear_lines},
    {"sieve", 4190, false, sieve, NULL, hear_lines},
};

const cli_protocol_t *cli_protocol_find(const char *name) {
  for (size_t i = 0; i < sizeof protocols / sizeof *protocols; i++)
    if (!strcmp(protocols[i].name, name))
      return protocols + i;
  return NULL;
}

int cli_protocol_port(const cli_protocol_t *protocol) { return protocol->port; }

const char *cli_protocol_at(int port) {
  if (port == 587) /* submission (RFC 6409) */
    return "smtp";
  for (size_t i = 0; i < sizeof protocols / sizeof *protocols; i++)
    if (protocols[i].port == port)
      return protocols[i].name;
  return NULL;
}

const char *cli_protocol_names(void) {
  return "smtp, imap, pop3, ftp, ldap, xmpp, postgres, mysql, nntp, sieve";
}

cli_step_t cli_talk_begin(cli_talk_t *talk, const cli_protocol_t *protocol, const char *host) {
  *talk = (cli_talk_t){.protocol = protocol, .host = host};
  return protocol->begin ? protocol->begin(talk) : CLI_STEP_MORE;
}

cli_step_t cli_talk_sent(cli_talk_t *talk) {
  talk->sending = false;
  return talk->protocol->hear(talk);
}

cli_step_t cli_talk_hear(cli_talk_t *talk, const void *bytes, size_t n) {
  talk->heard += n;
  if (n > sizeof talk->bytes - talk->n || talk->heard > CLI_TALK_MOST)
    return fail(talk, "the server says too much before TLS", NULL, 0);
  if (n)
    memcpy(talk->bytes + talk->n, bytes, n);
  talk->n += n;
  return talk->sending ? CLI_STEP_MORE : talk->protocol->hear(talk);
}
