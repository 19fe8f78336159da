#include "scene.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <openssl/ssl.h>

/* -- a system that tells nothing, as on a network file system ---------------------------------- */

bool scene_is_silent;

int uv_fs_event_start(uv_fs_event_t *handle, uv_fs_event_cb on_event, const char *path,
                      unsigned flags) {
  int (*real)(uv_fs_event_t *, uv_fs_event_cb, const char *, unsigned);
  *(void **)&real = dlsym(RTLD_NEXT, "uv_fs_event_start");
  return scene_is_silent ? UV_ENOSYS : real(handle, on_event, path, flags);
}

/* -- files ------------------------------------------------------------------------------------- */

static char folder[64]; /* of the test that runs */

const char *path(const char *name) {
  static char rooms[8][256];
  static unsigned next;
  char *room = rooms[next++ % 8];
  (void)snprintf(room, sizeof rooms[0], "%s/%s", folder, name);
  return room;
}

static int remove_entry(const char *name, const struct stat *state, int kind, struct FTW *ftw) {
  (void)state, (void)kind, (void)ftw;
  return remove(name);
}

void remove_all(const char *name) { nftw(name, remove_entry, 8, FTW_DEPTH | FTW_PHYS); }

void write_to(const char *name, const char *text, size_t n) {
  int fd = open(path(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  assert_true(fd >= 0);
  assert_int_equal(write(fd, text, n), n);
  close(fd);
}

/* The ways in which a file is replaced. */

void in_place(const char *name, const char *text) { write_to(name, text, strlen(text)); }

void by_rename(const char *name, const char *text) {
  char other[64];
  (void)snprintf(other, sizeof other, "%s.new", name);
  in_place(other, text);
  assert_int_equal(rename(path(other), path(name)), 0);
}

void made_again(const char *name, const char *text) {
  assert_int_equal(unlink(path(name)), 0);
  in_place(name, text);
}

void link_to(const char *target, const char *name) {
  assert_int_equal(symlink(target, path("link.new")), 0);
  assert_int_equal(rename(path("link.new"), path(name)), 0);
}

void make_folder(const char *name) { assert_int_equal(mkdir(path(name), 0700), 0); }

/* -- keys and certificates --------------------------------------------------------------------- */

const pki_t *a, *b;

const replace_t ways[3] = {in_place, by_rename, made_again};

void put(const pki_t *pki, replace_t replace) {
  replace("key", pki->key_pem);
  replace("cert", pki->cert_pem);
}

/* -- a watch ----------------------------------------------------------------------------------- */

void scene_on_change(sp_watch_t *watch, int status) {
  scene_t *s = sp_watch_data(watch);
  assert_int_equal(sp_watch_error(watch)->status, status);
  if (status == 0) {
    s->changes++;
    return;
  }
  s->faults++;
  s->error = *sp_watch_error(watch);
}

void scene_on_closed(sp_watch_t *watch) {
  scene_t *s = sp_watch_data(watch);
  assert_false(s->is_closed);
  s->is_closed = true;
}

/* A folder of its own, and nothing in it. */
void scene_open(scene_t *s) {
  *s = (scene_t){.changes = 0};
  if (!a) {
    a = PKI_MAKE(pki_default()->root, .cn = "A");
    b = PKI_MAKE(pki_default()->root, .cn = "B");
  }
  memcpy(folder, "/tmp/sp-watch-XXXXXX", 21);
  assert_non_null(mkdtemp(folder));
  stage_open(&s->stage);
  assert_int_equal(uv_async_init(&s->stage.uv, &s->alive, NULL), 0);
}

void scene_watch(scene_t *s, const sp_options_t *options) {
  sp_error_t why = {.status = 0};
  if (sp_watch_new(&s->watch, &s->stage.uv, scene_on_change, &why, options) < 0)
    fail_msg("%s", why.text);
  sp_watch_set_data(s->watch, s);
}

/* With A in "key" and "cert". */
void scene_begin(scene_t *s) {
  scene_open(s);
  put(a, in_place);
  scene_watch(s, FILES(BY_EVENTS));
}

void scene_end(scene_t *s) {
  if (s->watch) {
    assert_int_equal(sp_watch_close(s->watch, scene_on_closed), 0);
    assert_int_equal(sp_watch_close(s->watch, scene_on_closed), UV_EALREADY);
    assert_int_equal(sp_watch_check(s->watch), UV_ECANCELED);
    assert_false(s->is_closed);
    STAGE_UNTIL(&s->stage, s->is_closed);
  }
  uv_close((uv_handle_t *)&s->alive, NULL);
  stage_close(&s->stage);
  remove_all(folder);
}

/* Looks at once, and until there is nothing more to see. */
void check(scene_t *s) {
  assert_int_equal(sp_watch_check(s->watch), 0);
  STAGE_UNTIL(&s->stage, !s->watch->is_looking && !s->watch->is_asked);
}

/* Whose certificate is in force; its key is the one that belongs to it. */
const char *in_force(const scene_t *s) {
  static char name[64];
  SSL_CTX *ctx = sp_context_ssl_ctx(sp_watch_context(s->watch));
  X509_NAME_get_text_by_NID(X509_get_subject_name(SSL_CTX_get0_certificate(ctx)), NID_commonName,
                            name, sizeof name);
  assert_int_equal(SSL_CTX_check_private_key(ctx), 1);
  return name;
}

void expect_change(scene_t *s, const char *name) {
  unsigned changes = s->changes, faults = s->faults;
  STAGE_UNTIL(&s->stage, s->changes > changes);
  assert_int_equal(s->changes, changes + 1);
  assert_int_equal(s->faults, faults);
  assert_string_equal(in_force(s), name);
  assert_int_equal(sp_watch_error(s->watch)->status, 0);
}

void expect_fault(scene_t *s, int status, const char *words) {
  unsigned changes = s->changes, faults = s->faults;
  STAGE_UNTIL(&s->stage, s->faults > faults);
  assert_int_equal(s->faults, faults + 1);
  assert_int_equal(s->changes, changes);
  assert_int_equal(s->error.status, status);
  if (!strstr(s->error.text, words))
    fail_msg("\"%s\" is not in: %s", words, s->error.text);
}
