/* How `securepair connect --starttls` reads what servers say before TLS: whatever the pieces it
 * comes in, to the letter, and never past a refusal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "starttls.h"

typedef struct answer {
  const char *bytes;
  size_t n;
} answer_t;

#define SAYS(text)                                                                                 \
  { text, sizeof(text) - 1 }

typedef struct dialogue {
  const char *protocol;
  answer_t answers[4]; /* one after each of ours, or before the first of ours */
  cli_step_t end;
  const char *error; /* has this in it */
} dialogue_t;

#define XMPP_NS "urn:ietf:params:xml:ns:xmpp-tls"

static const dialogue_t dialogues[] = {
    {"smtp",
     {SAYS("220-mail.example\r\n220 ready\r\n"), SAYS("250-mail\r\n250-SIZE 1\r\n250 STARTTLS\r\n"),
      SAYS("220 go\r\n")},
     CLI_STEP_READY,
     NULL},
    {"smtp", {SAYS("220\r\n"), SAYS("250 starttls\r\n"), SAYS("220\n")}, CLI_STEP_READY, NULL},
    {"smtp", {SAYS("220 a\r\n"), SAYS("250-a\r\n250 SIZE\r\n")}, CLI_STEP_FAILED, "not offer TLS"},
    {"smtp",
     {SAYS("220 a\r\n"), SAYS("250 STARTTLS\r\n"), SAYS("454 4.7.0 \x1b[31mnot\xff now\a\r\n")},
     CLI_STEP_FAILED,
     "the server refuses to turn to TLS, it said: \"454 4.7.0 \\x1B[31mnot\\xFF now\\x07\""},
    {"smtp", {SAYS("554 go away\r\n")}, CLI_STEP_FAILED, "refuses us, it said: \"554 go away\""},
    {"smtp", {SAYS("2200 hm\r\n")}, CLI_STEP_FAILED, "does not speak this protocol"},
    {"smtp", {SAYS("* OK IMAP\r\n")}, CLI_STEP_FAILED, "it said: \"* OK IMAP\""},
    {"imap", {SAYS("* OK hello\r\n"), SAYS("* NEWS\r\na OK go\r\n")}, CLI_STEP_READY, NULL},
    {"imap", {SAYS("* OK hello\r\n"), SAYS("a NO never\r\n")}, CLI_STEP_FAILED, "a NO never"},
    {"imap", {SAYS("* OK hello\r\n"), SAYS("a OKAY\r\n")}, CLI_STEP_FAILED, "a OKAY"},
    {"imap", {SAYS("* BYE full\r\n")}, CLI_STEP_FAILED, "refuses us, it said: \"* BYE full\""},
    {"imap", {SAYS("* PREAUTH you\r\n")}, CLI_STEP_FAILED, "PREAUTH"},
    {"pop3", {SAYS("+OK\r\n"), SAYS("+OK go\r\n")}, CLI_STEP_READY, NULL},
    {"pop3", {SAYS("+OK\r\n"), SAYS("-ERR no\r\n")}, CLI_STEP_FAILED, "-ERR no"},
    {"ftp",
     {SAYS("220-all of you\r\n  are\r\nwelcome\r\n221 or not\r\n220 now\r\n"), SAYS("234 go\r\n")},
     CLI_STEP_READY,
     NULL},
    {"ftp", {SAYS("220 a\r\n"), SAYS("502 what?\r\n")}, CLI_STEP_FAILED, "502 what?"},
    {"nntp", {SAYS("201 read only\r\n"), SAYS("382 go\r\n")}, CLI_STEP_READY, NULL},
    {"nntp", {SAYS("200 a\r\n"), SAYS("580 no\r\n")}, CLI_STEP_FAILED, "580 no"},
    {"sieve",
     {SAYS("\"SIEVE\" \"x\"\r\n\"STARTTLS\"\r\nOK\r\n"), SAYS("OK \"go\"\r\n")},
     CLI_STEP_READY,
     NULL},
    {"sieve", {SAYS("\"SIEVE\" \"x\"\r\nOK\r\n")}, CLI_STEP_FAILED, "not offer TLS"},
    {"sieve", {SAYS("\"STARTTLS\"\r\nOK\r\n"), SAYS("NO \"x\"\r\n")}, CLI_STEP_FAILED, "NO \"x\""},
    {"xmpp",
     {SAYS(""), SAYS("<stream:features><starttls xmlns='" XMPP_NS "'/></stream:features>"),
      SAYS("<proceed xmlns='" XMPP_NS "'/>")},
     CLI_STEP_READY,
     NULL},
    {"xmpp",
     {SAYS(""), SAYS("<stream:features><starttls xmlns='" XMPP_NS "'/></stream:features>"),
      SAYS("<proceed xmlns='" XMPP_NS "'></proceed>")},
     CLI_STEP_READY,
     NULL},
    {"xmpp", {SAYS(""), SAYS("<stream:features></stream:features>")}, CLI_STEP_FAILED, "not offer"},
    {"xmpp", {SAYS(""), SAYS("HTTP/1.1 400\r\n")}, CLI_STEP_FAILED, "does not speak XMPP"},
    {"xmpp",
     {SAYS(""), SAYS("<stream:features><starttls xmlns='" XMPP_NS "'/></stream:features>"),
      SAYS("<failure/></stream:stream>")},
     CLI_STEP_FAILED,
     "refuses to turn"},
    {"ldap",
     {SAYS(""), SAYS("\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00")},
     CLI_STEP_READY,
     NULL},
    {"ldap",
     {SAYS(""), SAYS("\x30\x84\x00\x00\x00\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00")},
     CLI_STEP_READY,
     NULL}, /* four bytes of length for so little, as Active Directory has them */
    {"ldap",
     {SAYS(""), SAYS("\x30\x0e\x02\x01\x01\x78\x09\x0a\x01\x34\x04\x00\x04\x02no")},
     CLI_STEP_FAILED,
     "it said: \"no\""},
    {"ldap",
     {SAYS(""), SAYS("\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00")},
     CLI_STEP_FAILED,
     "no LDAP extended response"},
    {"ldap", {SAYS(""), SAYS("\x30\x03\x02\x7f\x01")}, CLI_STEP_FAILED, "no LDAP extended"},
    {"postgres", {SAYS(""), SAYS("S")}, CLI_STEP_READY, NULL},
    {"postgres", {SAYS(""), SAYS("N")}, CLI_STEP_FAILED, "switched off"},
    {"postgres", {SAYS(""), SAYS("X")}, CLI_STEP_FAILED, "does not speak PostgreSQL"},
    {"mysql",
     {SAYS("\x1e\x00\x00\x00\x0a"
           "5\x00\x01\x00\x00\x00"
           "12345678\x00\xff\xff"
           "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")},
     CLI_STEP_READY,
     NULL},
    {"mysql",
     {SAYS("\x1e\x00\x00\x00\x0a"
           "5\x00\x01\x00\x00\x00"
           "12345678\x00\xff\xf7"
           "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")},
     CLI_STEP_FAILED,
     "not offer"},
    {"mysql",
     {SAYS("\x10\x00\x00\x00\xff\x69\x04Host is blocked"), SAYS("\0")},
     CLI_STEP_FAILED,
     "Host is block"},
    {"mysql", {SAYS("\x04\x00\x00\x00SSH-2.0")}, CLI_STEP_FAILED, "protocol 10"},
};
enum { COUNT = sizeof dialogues / sizeof *dialogues };

/* -- saying it in pieces ----------------------------------------------------------------------- */

static cli_step_t sent(cli_talk_t *talk, cli_step_t step) {
  while (step == CLI_STEP_SEND) {
    assert_true(talk->reply_size && talk->reply_size <= sizeof talk->reply);
    step = cli_talk_sent(talk);
  }
  return step;
}

/* In pieces of `piece` bytes, the first of each answer of `first`. */
static cli_step_t hold(cli_talk_t *talk, const dialogue_t *d, size_t first, size_t piece) {
  cli_step_t step = sent(talk, cli_talk_begin(talk, cli_protocol_find(d->protocol), "a.example"));
  for (size_t i = 0; i < 4 && step == CLI_STEP_MORE; i++) {
    const answer_t *answer = d->answers + i;
    for (size_t at = 0; at < answer->n && step == CLI_STEP_MORE;) {
      size_t n = at ? piece : first, left = answer->n - at;
      n = n < left ? n : left;
      step = sent(talk, cli_talk_hear(talk, answer->bytes + at, n));
      at += n;
    }
  }
  return step;
}

static void check(const dialogue_t *d, size_t first, size_t piece) {
  cli_talk_t talk;
  cli_step_t step = hold(&talk, d, first, piece);
  if (step != d->end)
    fail_msg("%s, \"%s\", in pieces of %zu and %zu: %d, \"%s\"", d->protocol, d->answers[0].bytes,
             first, piece, (int)step, step == CLI_STEP_FAILED ? talk.error : "");
  if (step == CLI_STEP_READY)
    assert_int_equal(talk.n, 0);
  else if (!strstr(talk.error, d->error))
    fail_msg("%s: \"%s\" does not say \"%s\"", d->protocol, talk.error, d->error);
}

static void whole(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT; i++)
    check(dialogues + i, SIZE_MAX, SIZE_MAX);
}

static void cut_at_every_byte(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT; i++) {
    if (dialogues[i].end != CLI_STEP_READY)
      continue;
    for (size_t cut = 1; cut < 100; cut++)
      check(dialogues + i, cut, SIZE_MAX);
    check(dialogues + i, 1, 1);
  }
}

/* -- what must not be passed on ---------------------------------------------------------------- */

/* W29: what comes in one piece with the last word of the clear is still there, for the stream to
 * refuse. */
static void injected(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT; i++) {
    dialogue_t d = dialogues[i];
    cli_talk_t talk;
    char bytes[256];
    size_t last = 3;
    if (d.end != CLI_STEP_READY)
      continue;
    while (!d.answers[last].n)
      last--;
    memcpy(bytes, d.answers[last].bytes, d.answers[last].n);
    memcpy(bytes + d.answers[last].n, "evil", 4);
    d.answers[last] = (answer_t){bytes, d.answers[last].n + 4};
    assert_int_equal(hold(&talk, &d, SIZE_MAX, SIZE_MAX), CLI_STEP_READY);
    assert_int_equal(talk.n, 4);
    assert_memory_equal(talk.bytes, "evil", 4);
  }
}

/* What comes while we still send is neither lost nor answered too early. */
static void early(void **state) {
  (void)state;
  cli_talk_t talk;
  assert_int_equal(cli_talk_begin(&talk, cli_protocol_find("smtp"), "a"), CLI_STEP_MORE);
  assert_int_equal(cli_talk_hear(&talk, "220 a\r\n", 7), CLI_STEP_SEND);
  assert_int_equal(cli_talk_hear(&talk, "250 STARTTLS\r\n", 14), CLI_STEP_MORE);
  assert_memory_equal(talk.reply, "EHLO", 4);
  assert_int_equal(cli_talk_sent(&talk), CLI_STEP_SEND);
  assert_memory_equal(talk.reply, "STARTTLS", 8);
}

static void endless(void **state) {
  (void)state;
  static const char *const pieces[][2] = {
      {"smtp", "220-more\r\n"},         {"smtp", "220-no newline"},   {"ftp", "220-more\r\n"},
      {"imap", "* OK without end"},     {"sieve", "\"A\" \"B\"\r\n"}, {"xmpp", "<a>"},
      {"ldap", "\x30\x83\xff\xff\xff"}, {"mysql", "\xff\xff\xff\x00"}};
  for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
    cli_talk_t talk;
    cli_step_t step = sent(&talk, cli_talk_begin(&talk, cli_protocol_find(pieces[i][0]), "a"));
    size_t n = 0;
    for (; step == CLI_STEP_MORE && n <= CLI_TALK_MOST; n += strlen(pieces[i][1]))
      step = sent(&talk, cli_talk_hear(&talk, pieces[i][1], strlen(pieces[i][1])));
    assert_int_equal(step, CLI_STEP_FAILED);
    assert_true(strlen(talk.error) < sizeof talk.error);
  }
}

static void host_in_xmpp(void **state) {
  (void)state;
  char host[400];
  cli_talk_t talk;
  assert_int_equal(cli_talk_begin(&talk, cli_protocol_find("xmpp"), "a'><b"), CLI_STEP_FAILED);
  memset(host, 'a', sizeof host);
  host[sizeof host - 1] = '\0';
  assert_int_equal(cli_talk_begin(&talk, cli_protocol_find("xmpp"), host), CLI_STEP_SEND);
  assert_true(talk.reply_size <= sizeof talk.reply);
}

/* The same numbers in each run (xorshift, by Marsaglia). */
static size_t draw(size_t below) {
  static uint32_t x = 20261130;
  x ^= x << 13;
  x ^= x >> 17;
  x ^= x << 5;
  return x % below;
}

/* Junk of all kinds: it ends, within its bounds; sanitizers see the rest. */
static void junk(void **state) {
  (void)state;
  for (int round = 0; round < 40000; round++) {
    const dialogue_t *d = dialogues + draw(COUNT);
    cli_talk_t talk;
    cli_step_t step = sent(&talk, cli_talk_begin(&talk, cli_protocol_find(d->protocol), "a"));
    for (int i = 0; i < 12 && step == CLI_STEP_MORE; i++) {
      const answer_t *answer = d->answers + draw(4);
      char bytes[512];
      size_t n = answer->n && draw(4) ? answer->n : draw(sizeof bytes);
      for (size_t k = 0; k < n; k++)
        bytes[k] = (char)(answer->n > k && draw(16) ? answer->bytes[k] : (char)draw(256));
      step = sent(&talk, cli_talk_hear(&talk, bytes, n));
    }
    assert_true(talk.n <= sizeof talk.bytes);
    for (const char *at = talk.error; step == CLI_STEP_FAILED && *at; at++)
      assert_true(*at >= ' ' && *at <= '~');
  }
}

static void ports(void **state) {
  (void)state;
  assert_string_equal(cli_protocol_at(587), "smtp");
  assert_string_equal(cli_protocol_at(5432), "postgres");
  assert_false(cli_protocol_at(443) || cli_protocol_find("gopher"));
  for (size_t i = 0; i < COUNT; i++)
    assert_non_null(strstr(cli_protocol_names(), dialogues[i].protocol));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(whole),    cmocka_unit_test(cut_at_every_byte),
      cmocka_unit_test(injected), cmocka_unit_test(early),
      cmocka_unit_test(endless),  cmocka_unit_test(host_in_xmpp),
      cmocka_unit_test(junk),     cmocka_unit_test(ports),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
