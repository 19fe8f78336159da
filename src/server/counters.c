/* A server's counters, for the program and for Prometheus. */
#include <securepair/counters.h>

#include <string.h>

#include "server/server.h"

int sp_server_counters(const sp_server_t *server, sp_server_counters_t *counters) {
  const sp_server_counters_t *counts = &server->maker.counts;
  size_t first = offsetof(sp_server_counters_t, accepted);
  size_t size = counters->size < sizeof *counts ? counters->size : sizeof *counts;
  if (size < sizeof counters->size)
    return SP_EOPTION;
  for (size_t at = first; at + sizeof(uint64_t) <= size; at += sizeof(uint64_t)) {
    const void *from = (const char *)counts + at;
    uint64_t value = __atomic_load_n((const uint64_t *)from, __ATOMIC_RELAXED);
    memcpy((char *)counters + at, &value, sizeof value);
  }
  counters->size = size;
  return 0;
}

/* -- as text ----------------------------------------------------------------------------------- */

typedef struct printer {
  FILE *to;
  const sp_server_counters_t *counters;
  const char *const *names;
  size_t count;
} printer_t;

/* Name and label of one value; a label's text may hold anything (exposition format 0.0.4). */
static void print_name(const printer_t *p, size_t i, const char *metric, const char *label) {
  fprintf(p->to, "securepair_%s", metric);
  if (!p->names && !label)
    return;
  fputc('{', p->to);
  if (label)
    fprintf(p->to, "%s%s", label, p->names ? "," : "");
  if (p->names) {
    fputs("server=\"", p->to);
    for (const char *c = p->names[i]; *c; c++) {
      if (*c == '\\' || *c == '"' || *c == '\n')
        fputc('\\', p->to);
      fputc(*c == '\n' ? 'n' : *c, p->to);
    }
    fputc('"', p->to);
  }
  fputc('}', p->to);
}

static void print_value(const printer_t *p, size_t i, const char *metric, const char *label,
                        uint64_t value) {
  print_name(p, i, metric, label);
  fprintf(p->to, " %llu\n", (unsigned long long)value);
}

static void print_head(const printer_t *p, const char *metric, const char *type, const char *help) {
  fprintf(p->to, "# HELP securepair_%s %s\n# TYPE securepair_%s %s\n", metric, help, metric, type);
}

#define OF(field) offsetof(sp_server_counters_t, field)

static const struct {
  size_t offset;
  const char *metric, *label, *type, *help; /* metrics of several labels stand together */
} lines[] = {
    {OF(accepted), "accepted_total", NULL, "counter", "Clients accepted."},
    {OF(handed_over), "handed_over_total", NULL, "counter", "Clients the program took over."},
    {OF(dropped_limit), "dropped_total", "reason=\"limit\"", "counter", "Clients not taken."},
    {OF(dropped_resources), "dropped_total", "reason=\"resources\"", NULL, NULL},
    {OF(dropped_other), "dropped_total", "reason=\"other\"", NULL, NULL},
    {OF(connections), "connections", NULL, "gauge", "Live connections, the handshaking included."},
    {OF(handshaking), "handshaking", NULL, "gauge", "Connections that are not secure yet."},
    {OF(waiting), "handshakes_waiting", NULL, "gauge", "Handshakes that wait for their turn."},
    {OF(handshakes_full), "handshakes_total", "kind=\"full\"", "counter", "Handshakes done."},
    {OF(handshakes_resumed), "handshakes_total", "kind=\"resumed\"", NULL, NULL},
    {OF(hook_waits), "hook_waits_total", NULL, "counter", "Hooks that were waited for."},
    {OF(encrypted_in), "encrypted_in_bytes_total", NULL, "counter", "Bytes from transports."},
    {OF(encrypted_out), "encrypted_out_bytes_total", NULL, "counter", "Bytes to transports."},
    {OF(cleartext_in), "cleartext_in_bytes_total", NULL, "counter", "Bytes delivered."},
    {OF(cleartext_out), "cleartext_out_bytes_total", NULL, "counter", "Bytes encrypted to send."},
    {OF(pending), "pending_bytes", NULL, "gauge", "Bytes written and not with a transport yet."},
};

static void print_plain(const printer_t *p) {
  for (size_t l = 0; l < sizeof lines / sizeof *lines; l++) {
    if (lines[l].type)
      print_head(p, lines[l].metric, lines[l].type, lines[l].help);
    for (size_t i = 0; i < p->count; i++) {
      uint64_t value;
      memcpy(&value, (const char *)(p->counters + i) + lines[l].offset, sizeof value);
      print_value(p, i, lines[l].metric, lines[l].label, value);
    }
  }
}

static void print_failures(const printer_t *p) {
  print_head(p, "handshakes_failed_total", "counter", "Handshakes that failed, by reason.");
  for (size_t i = 0; i < p->count; i++)
    for (int failure = 1; failure < SP_FAILURES; failure++) {
      char label[64];
      snprintf(label, sizeof label, "reason=\"%s\"", sp_failure_name((sp_failure_t)failure));
      print_value(p, i, "handshakes_failed_total", label,
                  p->counters[i].handshakes_failed[failure]);
    }
}

/* Buckets of Prometheus hold all that was faster, too. */
static void print_times(const printer_t *p, size_t i) {
  const sp_server_counters_t *counters = &p->counters[i];
  uint64_t sum = 0;
  char label[64];
  for (unsigned t = 0; t < SP_HANDSHAKE_TIMES - 1; t++) {
    sum += counters->handshake_times[t];
    snprintf(label, sizeof label, "le=\"%.9g\"", (double)(2u << t) / 1e6);
    print_value(p, i, "handshake_seconds_bucket", label, sum);
  }
  sum += counters->handshake_times[SP_HANDSHAKE_TIMES - 1];
  print_value(p, i, "handshake_seconds_bucket", "le=\"+Inf\"", sum);
  print_name(p, i, "handshake_seconds_sum", NULL);
  fprintf(p->to, " %.6f\n", (double)counters->handshake_time / 1e6);
  print_value(p, i, "handshake_seconds_count", NULL, sum);
}

int sp_counters_print(FILE *to, const sp_server_counters_t *counters, const char *const *names,
                      size_t count) {
  printer_t p = {to, counters, names, count};
  print_plain(&p);
  print_failures(&p);
  print_head(&p, "handshake_seconds", "histogram", "From accept to secure.");
  for (size_t i = 0; i < count; i++)
    print_times(&p, i);
  return ferror(to) ? UV_EIO : 0;
}
