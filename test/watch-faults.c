/* R13: whatever is wrong with the files of a context that follows them, the old one stays, and it
 * is told once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/scene.h"

/* -- files that are not in order --------------------------------------------------------------- */

/* R13: the file as it is in the middle of being written, cut anywhere. */
static void R13_half_written_at_every_cut(void **state) {
  scene_t s;
  (void)state;
  scene_begin(&s);
  for (int is_cert = 0; is_cert < 2; is_cert++) {
    const char *name = is_cert ? "cert" : "key";
    const char *text = is_cert ? b->cert_pem : b->key_pem;
    size_t n = strlen(text), step = n / 40;
    by_rename(is_cert ? "key" : "cert", is_cert ? b->key_pem : b->cert_pem);
    for (size_t cut = 0; cut < n - 1; cut += cut < n - 10 ? step : 1) {
      unsigned faults = s.faults;
      write_to(name, text, cut);
      check(&s);
      assert_int_equal(s.changes, 2 * (unsigned)is_cert);
      assert_in_range(s.faults, faults + 1, faults + 2);
      assert_string_equal(in_force(&s), "A");
    }
    in_place(name, text);
    expect_change(&s, "B");
    put(a, by_rename);
    expect_change(&s, "A");
  }
  scene_end(&s);
}

/* A fault that is not told yet. While a worker looks, its findings are not ours to read. */
static bool has_seen(const scene_t *s, int status) {
  const sp_watch_t *watch = s->watch;
  return !watch->is_looking && watch->look.seen == SP__SEEN_FAULT &&
         watch->look.error.status == status;
}

/* R13: whoever writes slowly is waited for, and nothing is told. */
static void R13_half_written_and_then_complete(void **state) {
  scene_t s;
  (void)state;
  scene_open(&s);
  put(a, in_place);
  scene_watch(
      &s, SP_OPTIONS(.key_file = path("key"), .cert_file = path("cert"), .watch_interval = POLLS));
  write_to("key", b->key_pem, 20);
  STAGE_UNTIL(&s.stage, has_seen(&s, SP_EKEY));
  in_place("key", b->key_pem);
  STAGE_UNTIL(&s.stage, has_seen(&s, SP_EMISMATCH));
  write_to("cert", b->cert_pem, 100);
  STAGE_UNTIL(&s.stage, has_seen(&s, SP_ECERTIFICATE));
  in_place("cert", b->cert_pem);
  expect_change(&s, "B");
  assert_int_equal(s.faults, 0);
  scene_end(&s);
}

/* R13: the key first, or the certificate first, each seen alone. */
static void R13_key_replaced_during_reload(void **state) {
  static const char *const first[] = {"key", "cert"}, *const second[] = {"cert", "key"};
  for (size_t i = 0; i < 2 * WAYS; i++) {
    scene_t s;
    (void)state;
    scene_open(&s);
    put(a, in_place);
    scene_watch(&s, SP_OPTIONS(.key_file = path("key"), .cert_file = path("cert"),
                               .watch_interval = EVENTS));
    ways[i / 2](first[i % 2], i % 2 ? b->cert_pem : b->key_pem);
    STAGE_UNTIL(&s.stage, has_seen(&s, SP_EMISMATCH));
    assert_string_equal(in_force(&s), "A");
    ways[i / 2](second[i % 2], i % 2 ? b->key_pem : b->cert_pem);
    expect_change(&s, "B");
    assert_int_equal(s.faults, 0);
    scene_end(&s);
  }
}

/* R13: told once, not each time that it is seen; told again when asked; gone when it is mended. */
static void R13_wrong_key(void **state) {
  scene_t s;
  (void)state;
  scene_open(&s);
  put(a, in_place);
  scene_watch(&s, FILES(.watch_interval = POLLS, .watch_grace = 120));
  by_rename("key", b->key_pem);
  expect_fault(&s, SP_EMISMATCH, "do not belong together");
  for (unsigned looks = 0; looks < 5; looks++) {
    STAGE_UNTIL(&s.stage, s.watch->is_looking);
    STAGE_UNTIL(&s.stage, !s.watch->is_looking);
  }
  assert_int_equal(s.faults, 1);
  check(&s);
  assert_int_equal(s.faults, 2);
  assert_int_equal(sp_watch_error(s.watch)->status, SP_EMISMATCH);
  by_rename(
      "key",
      PKI_MAKE(pki_default()->root, .cn = "C")->key_pem); /* another wrong one: another fault */
  expect_fault(&s, SP_EMISMATCH, "do not belong together");
  by_rename("key", a->key_pem);
  STAGE_UNTIL(&s.stage, !sp_watch_error(s.watch)->status);
  assert_int_equal(s.changes, 0);
  put(b, by_rename);
  expect_change(&s, "B");
  scene_end(&s);
}

static void junk(void **state) {
  scene_t s;
  (void)state;
  scene_begin(&s);
  by_rename("cert", "nothing of the kind");
  expect_fault(&s, SP_ECERTIFICATE, "cert");
  by_rename("cert", "");
  expect_fault(&s, SP_ECERTIFICATE, "cert");
  by_rename("cert", a->cert_pem);
  by_rename("key", "\xff\xfe");
  expect_fault(&s, SP_EKEY, "key");
  assert_string_equal(in_force(&s), "A");
  scene_end(&s);
}

static const pki_t *expired(void) {
  return PKI_MAKE(pki_default()->root, .cn = "expired", .from = -2 * PKI_DAY, .to = -PKI_DAY);
}

static void an_expired_certificate_replaces_no_valid_one(void **state) {
  scene_t s;
  (void)state;
  scene_begin(&s);
  put(expired(), by_rename);
  expect_fault(&s, SP_ECERTIFICATE, "expired on ");
  assert_string_equal(in_force(&s), "A");
  put(b, by_rename);
  expect_change(&s, "B");
  scene_end(&s);
  /* but whoever has nothing better may begin with it, and renew it */
  scene_open(&s);
  put(expired(), in_place);
  scene_watch(&s, FILES(BY_EVENTS));
  assert_string_equal(in_force(&s), "expired");
  put(PKI_MAKE(pki_default()->root, .cn = "also", .from = -2 * PKI_DAY, .to = -60), by_rename);
  expect_change(&s, "also");
  put(a, by_rename);
  expect_change(&s, "A");
  scene_end(&s);
}

static void a_file_deleted(void **state) {
  scene_t s;
  (void)state;
  scene_begin(&s);
  assert_int_equal(unlink(path("key")), 0);
  expect_fault(&s, UV_ENOENT, path("key"));
  in_place("key", a->key_pem);
  STAGE_UNTIL(&s.stage, !sp_watch_error(s.watch)->status);
  assert_int_equal(s.changes, 0);
  assert_int_equal(unlink(path("cert")), 0);
  assert_int_equal(mkfifo(path("cert"), 0600), 0); /* nobody waits for a writer */
  expect_fault(&s, SP_EOPTION, "no regular file");
  assert_int_equal(unlink(path("cert")), 0);
  make_folder("cert");
  check(&s);
  assert_int_equal(s.error.status, SP_EOPTION);
  assert_int_equal(rmdir(path("cert")), 0);
  put(b, in_place);
  expect_change(&s, "B");
  scene_end(&s);
}

static void permission_denied(void **state) {
  scene_t s;
  (void)state;
  bool is_root = geteuid() == 0;
  if (is_root && seteuid(65534) < 0)
    skip();
  scene_open(&s);
  put(a, in_place);
  scene_watch(&s, FILES(BY_EVENTS));
  assert_int_equal(chmod(path("key"), 0), 0);
  expect_fault(&s, UV_EACCES, path("key"));
  assert_int_equal(chmod(path("key"), 0600), 0);
  STAGE_UNTIL(&s.stage, !sp_watch_error(s.watch)->status);
  /* R13: a folder in which nothing can be written, on a disk that is full, concerns no reader */
  assert_int_equal(chmod(path("."), 0500), 0);
  in_place("key", b->key_pem);
  in_place("cert", b->cert_pem);
  expect_change(&s, "B");
  assert_int_equal(chmod(path("."), 0700), 0);
  scene_end(&s);
  assert_true(!is_root || seteuid(0) == 0);
}

static void a_folder_deleted_and_made_again(void **state) {
  for (int interval = EVENTS; interval <= POLLS; interval += POLLS - EVENTS) {
    scene_t s;
    (void)state;
    scene_is_silent = interval == POLLS;
    scene_open(&s);
    make_folder("in");
    in_place("in/key", a->key_pem);
    in_place("in/cert", a->cert_pem);
    scene_watch(&s, SP_OPTIONS(.key_file = path("in/key"), .cert_file = path("in/cert"),
                               .watch_interval = POLLS, .watch_grace = 120));
    remove_all(path("in"));
    expect_fault(&s, UV_ENOENT, "in/key");
    make_folder("in");
    in_place("in/key", b->key_pem);
    in_place("in/cert", b->cert_pem);
    expect_change(&s, "B");
    s.watch->interval = 0; /* the new folder is followed, too */
    if (interval == EVENTS) {
      check(&s);
      in_place("in/key", a->key_pem);
      in_place("in/cert", a->cert_pem);
      expect_change(&s, "A");
    }
    scene_end(&s);
    scene_is_silent = false;
  }
}

/* R13: a storm of SIGHUP costs two looks, one that runs and one more. */
static void R13_sighup_storm(void **state) {
  scene_t s;
  (void)state;
  scene_begin(&s);
  put(b, in_place);
  for (int i = 0; i < 1000; i++)
    assert_int_equal(sp_watch_check(s.watch), 0);
  expect_change(&s, "B");
  STAGE_UNTIL(&s.stage, !s.watch->is_looking && !s.watch->is_asked);
  assert_int_equal(s.changes, 1);
  by_rename("key", a->key_pem);
  for (int i = 0; i < 1000; i++)
    assert_int_equal(sp_watch_check(s.watch), 0);
  STAGE_UNTIL(&s.stage, !s.watch->is_looking && !s.watch->is_asked);
  assert_in_range(s.faults, 1, 2);
  assert_string_equal(in_force(&s), "B");
  scene_end(&s);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(R13_half_written_at_every_cut),
      cmocka_unit_test(R13_half_written_and_then_complete),
      cmocka_unit_test(R13_key_replaced_during_reload),
      cmocka_unit_test(R13_wrong_key),
      cmocka_unit_test(junk),
      cmocka_unit_test(an_expired_certificate_replaces_no_valid_one),
      cmocka_unit_test(a_file_deleted),
      cmocka_unit_test(permission_denied),
      cmocka_unit_test(a_folder_deleted_and_made_again),
      cmocka_unit_test(R13_sighup_storm),
  };
  return cmocka_run_group_tests_name("watch-faults", tests, NULL, NULL);
}
