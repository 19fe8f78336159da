#include "support/program.h"

#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

const program_version_t program_versions[2] = {
    {"-tls1_2", "NORMAL:-VERS-ALL:+VERS-TLS1.2", SP_TLS1_2},
    {"-tls1_3", "NORMAL:-VERS-ALL:+VERS-TLS1.3", SP_TLS1_3}};

const char *program_root(void) {
  static const char *file;
  return file ? file : (file = pki_file(pki_default()->root->cert_pem));
}

const uint8_t *program_bytes(int kind, size_t n) {
  static uint8_t bytes[2][PROGRAM_BYTES];
  uint64_t x = 88172645463325252ull + (unsigned)kind;
  assert_true(n <= PROGRAM_BYTES);
  for (size_t i = 0; !bytes[kind][PROGRAM_BYTES - 1] && i < PROGRAM_BYTES; i++) {
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    uint8_t byte = (uint8_t)(0x80 | x >> 32);
    bytes[kind][i] = i % 1000 == 999 || i + 1 == PROGRAM_BYTES ? '\n' : byte;
  }
  return bytes[kind];
}

/* -- our side ---------------------------------------------------------------------------------- */

static void collect(talker_t *talker, const uint8_t *bytes, size_t n) {
  talker->got = realloc(talker->got, talker->got_size + n);
  assert_non_null(talker->got);
  memcpy(talker->got + talker->got_size, bytes, n);
  talker->got_size += n;
}

static void react(actor_t *actor, fixture_event_t event, int status) {
  program_t *p = actor->fixture->data;
  if (event == ON_SECURE && !actor->data) {
    assert_true(p->count < sizeof p->talks / sizeof *p->talks);
    actor->data = &p->talks[p->count++];
  }
  talker_t *talker = actor->data;
  talker->actor = actor;
  if (event == ON_SECURE) {
    meeting_note(&talker->side, actor->stream);
    talker->side.status = status;
    if (status == 0 && actor->is_server && !p->mute)
      assert_int_equal(sp_stream_pipe(actor->stream, actor->stream), 0);
  } else if (event == ON_DATA) {
    collect(talker, actor->bytes, actor->n);
  } else if (event == ON_CLOSE) {
    assert_true(strlen(actor->log) < sizeof talker->side.log);
    memcpy(talker->side.log, actor->log, strlen(actor->log));
  }
  talker->side.error = actor->error;
}

program_t *program_new(void) {
  program_t *p = calloc(1, sizeof *p);
  assert_non_null(p);
  p->f = fixture_new();
  p->f->data = p;
  p->f->react = react;
  return p;
}

void program_serve(program_t *p, const sp_options_t *options) { fixture_serve(p->f, options); }

talker_t *program_connect(program_t *p, const sp_options_t *options) {
  sp_options_t copy = *options;
  copy.host = "127.0.0.1";
  talker_t *talker = &p->talks[p->count++];
  talker->actor = fixture_connect(p->f, &copy);
  talker->actor->react = react;
  talker->actor->data = talker;
  return talker;
}

void program_free(program_t *p) {
  child_free(p->child);
  fixture_run(p->f);
  fixture_free(p->f);
  for (size_t i = 0; i < p->count; i++)
    free(p->talks[i].got);
  free(p);
}

/* -- waiting ----------------------------------------------------------------------------------- */

bool talker_wait(talker_t *talker, child_t *child, size_t n) {
  while (talker->got_size < n && talker->actor->stream && !child_ended(child))
    uv_run(&talker->actor->fixture->loop, UV_RUN_ONCE);
  return talker->got_size >= n;
}

void talker_wait_close(talker_t *talker) {
  while (talker->actor->stream)
    uv_run(&talker->actor->fixture->loop, UV_RUN_ONCE);
}

talker_t *program_served(program_t *p, size_t i) {
  while (p->count <= i)
    uv_run(&p->f->loop, UV_RUN_ONCE);
  return &p->talks[i];
}

const char *program_output(program_t *p, const void *mark, size_t mark_size, size_t n) {
  for (;;) {
    size_t size;
    const char *out = child_out(p->child, &size);
    const char *found = memmem(out, size, mark, mark_size);
    if (found && (size_t)(out + size - found) >= n)
      return found;
    if (child_ended(p->child))
      return NULL;
    uv_run(&p->f->loop, UV_RUN_ONCE);
  }
}

/* -- where it listens -------------------------------------------------------------------------- */

/* The port of the listening IPv4 socket with this inode. */
static int port_of_inode(unsigned long inode) {
  char line[512];
  unsigned port, state;
  unsigned long found;
  int result = 0;
  FILE *table = fopen("/proc/net/tcp", "re");
  while (table && !result && fgets(line, sizeof line, table))
    if (sscanf(line, " %*u: %*x:%x %*x:%*x %x %*x:%*x %*x:%*x %*x %*u %*u %lu", &port, &state,
               &found) == 3 &&
        state == 10 && found == inode)
      result = (int)port;
  if (table)
    fclose(table);
  return result;
}

static int port_of_process(int pid) {
  char path[300], target[64];
  unsigned long inode;
  int port = 0;
  (void)snprintf(path, sizeof path, "/proc/%d/fd", pid);
  DIR *folder = opendir(path);
  for (const struct dirent *entry; folder && !port && (entry = readdir(folder));) {
    (void)snprintf(path, sizeof path, "/proc/%d/fd/%s", pid, entry->d_name);
    ssize_t n = readlink(path, target, sizeof target - 1);
    if (n <= 0)
      continue;
    target[n] = '\0';
    if (sscanf(target, "socket:[%lu]", &inode) == 1)
      port = port_of_inode(inode);
  }
  if (folder)
    closedir(folder);
  return port;
}

static void on_look(uv_timer_t *timer) { (void)timer; }

int program_port(program_t *p) {
  uv_timer_t look; /* nothing tells when it listens: look again after every event, or 5 ms */
  uv_timer_init(&p->f->loop, &look);
  uv_timer_start(&look, on_look, 5, 5);
  int port = 0;
  while (!(port = port_of_process(child_pid(p->child))) && !child_ended(p->child))
    uv_run(&p->f->loop, UV_RUN_ONCE);
  uv_close((uv_handle_t *)&look, NULL);
  uv_run(&p->f->loop, UV_RUN_NOWAIT);
  return port;
}
