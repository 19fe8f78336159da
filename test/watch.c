/* A context that follows its files: each way to replace them, whether the system tells of it or
 * they are only looked at; options, closing, and want of memory. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/leaks.h"
#include "support/scene.h"
#include "support/syscalls.h"

/* -- each way to replace files ----------------------------------------------------------------- */

static void replace_in_each_way(int interval) {
  for (size_t i = 0; i < WAYS; i++) {
    scene_t s;
    scene_open(&s);
    put(a, in_place);
    scene_watch(&s, SP_OPTIONS(.key_file = path("key"), .cert_file = path("cert"),
                               .watch_interval = interval));
    assert_string_equal(in_force(&s), "A");
    put(b, ways[i]);
    expect_change(&s, "B");
    put(a, ways[(i + 1) % WAYS]);
    expect_change(&s, "A");
    scene_end(&s);
  }
}

static void files_replaced_as_the_system_tells(void **state) {
  (void)state;
  replace_in_each_way(EVENTS);
}

static void files_replaced_and_nobody_tells(void **state) {
  (void)state;
  scene_is_silent = true;
  replace_in_each_way(POLLS);
  scene_is_silent = false;
}

/* As certbot has it: live/key is a link to archive/key1, then to archive/key2. */
static void links_that_lead_elsewhere(void **state) {
  for (int interval = EVENTS; interval <= POLLS; interval += POLLS - EVENTS) {
    scene_t s;
    (void)state;
    scene_open(&s);
    scene_is_silent = interval == POLLS;
    make_folder("live");
    make_folder("archive");
    in_place("archive/key1", a->key_pem);
    in_place("archive/cert1", a->cert_pem);
    link_to("../archive/key1", "live/key");
    link_to("../archive/cert1", "live/cert");
    scene_watch(&s, SP_OPTIONS(.key_file = path("live/key"), .cert_file = path("live/cert"),
                               .watch_interval = interval));
    in_place("archive/key2", b->key_pem);
    in_place("archive/cert2", b->cert_pem);
    link_to("../archive/key2", "live/key");
    link_to("../archive/cert2", "live/cert");
    expect_change(&s, "B");
    in_place("archive/key2", a->key_pem); /* where the links lead now */
    in_place("archive/cert2", a->cert_pem);
    expect_change(&s, "A");
    scene_end(&s);
    scene_is_silent = false;
  }
}

/* As Kubernetes has it: key -> ..data/key, ..data -> ..1, replaced by one rename. */
static void a_folder_that_is_swapped_by_its_link(void **state) {
  for (int interval = EVENTS; interval <= POLLS; interval += POLLS - EVENTS) {
    scene_t s;
    (void)state;
    scene_open(&s);
    scene_is_silent = interval == POLLS;
    make_folder("..1");
    in_place("..1/key", a->key_pem);
    in_place("..1/cert", a->cert_pem);
    link_to("..1", "..data");
    link_to("..data/key", "key");
    link_to("..data/cert", "cert");
    scene_watch(&s, SP_OPTIONS(.key_file = path("key"), .cert_file = path("cert"),
                               .watch_interval = interval, .watch_grace = -1));
    for (int i = 2; i < 6; i++) {
      const pki_t *next = i % 2 ? a : b;
      char name[16], file[32];
      (void)snprintf(name, sizeof name, "..%d", i);
      make_folder(name);
      (void)snprintf(file, sizeof file, "%s/key", name);
      in_place(file, next->key_pem);
      (void)snprintf(file, sizeof file, "%s/cert", name);
      in_place(file, next->cert_pem);
      link_to(name, "..data");
      (void)snprintf(name, sizeof name, "..%d", i - 1);
      remove_all(path(name));
      expect_change(&s, i % 2 ? "A" : "B");
    }
    assert_int_equal(s.faults, 0);
    scene_end(&s);
    scene_is_silent = false;
  }
}

/* A link above the folder is not followed by what the system tells; looking finds it. */
static void a_link_further_up(void **state) {
  scene_t s;
  (void)state;
  scene_open(&s);
  make_folder("1");
  make_folder("2");
  in_place("1/key", a->key_pem);
  in_place("1/cert", a->cert_pem);
  in_place("2/key", b->key_pem);
  in_place("2/cert", b->cert_pem);
  link_to("1", "now");
  scene_watch(&s, SP_OPTIONS(.key_file = path("now/key"), .cert_file = path("now/cert"),
                             .watch_interval = POLLS));
  link_to("2", "now");
  expect_change(&s, "B");
  in_place("2/key", a->key_pem);
  in_place("2/cert", a->cert_pem);
  expect_change(&s, "A");
  scene_end(&s);
}

static void the_same_content_changes_nothing(void **state) {
  scene_t s;
  (void)state;
  scene_begin(&s);
  sp_context_t *before = sp_watch_context(s.watch);
  for (size_t i = 0; i < WAYS; i++) {
    put(a, ways[i]);
    check(&s);
  }
  assert_int_equal(s.changes + s.faults, 0);
  assert_ptr_equal(sp_watch_context(s.watch), before);
  scene_end(&s);
}

static void every_kind_of_file(void **state) {
  scene_t s;
  size_t n;
  (void)state;
  scene_open(&s);
  put(a, in_place);
  unsigned char *pfx = pki_pkcs12(b, NULL, "secret", &n);
  write_to("pfx", (const char *)pfx, n);
  in_place("ca", pki_default()->root->cert_pem);
  in_place("crl", pki_crl(pki_default()->root, NULL, 0, 0));
  const sp_identity_t more[] = {{.pfx_file = path("pfx"), .passphrase = "secret"},
                                {.key_file = path("key"), .cert_file = path("cert")}};
  scene_watch(&s, SP_OPTIONS(.identities = more, .identity_count = 2,
                             .ca_files = SP_LIST(path("ca")), .crl_files = SP_LIST(path("crl")),
                             .request_cert = SP_YES, .watch_interval = EVENTS));
  assert_string_equal(in_force(&s), "A");
  by_rename("crl", pki_crl(pki_default()->root, PKI_THESE(b), 0, 0));
  expect_change(&s, "A");
  by_rename("ca", pki_join(PKI_LIST(pki_default()->root->cert_pem,
                                    pki_default()->stranger_root->cert_pem)));
  expect_change(&s, "A");
  pfx = pki_pkcs12(a, NULL, "secret", &n);
  write_to("pfx", (const char *)pfx, n);
  expect_change(&s, "A");
  put(b, by_rename);
  expect_change(&s, "B");
  scene_end(&s);
}

/* -- a change behind a look -------------------------------------------------------------------- */

static uv_thread_t home;
static atomic_int closes; /* of files, by the worker */
static uv_sem_t at_last, go;

/* The worker has read the last file, and is held before it answers. */
static int hold_at_last_file(syscall_name_t name, int fd) {
  (void)fd;
  uv_thread_t self = uv_thread_self();
  if (name != CALL_CLOSE || uv_thread_equal(&self, &home) || ++closes != 2)
    return 0;
  uv_sem_post(&at_last);
  uv_sem_wait(&go);
  return 0;
}

/* The system tells of the change while a worker looks, who does not see it any more: it is not
 * forgotten, also where nothing looks by itself. */
static void changed_behind_a_look(void **state) {
  scene_t s;
  (void)state;
  scene_begin(&s);
  check(&s);
  home = uv_thread_self();
  closes = 0;
  assert_int_equal(uv_sem_init(&at_last, 0), 0);
  assert_int_equal(uv_sem_init(&go, 0), 0);
  syscalls_set_fault(hold_at_last_file);
  assert_int_equal(sp_watch_check(s.watch), 0);
  uv_sem_wait(&at_last);
  put(b, by_rename);
  STAGE_UNTIL(&s.stage, s.watch->was_touched);
  assert_true(s.watch->is_looking);
  uv_sem_post(&go);
  expect_change(&s, "B");
  syscalls_set_fault(NULL);
  uv_sem_destroy(&at_last);
  uv_sem_destroy(&go);
  scene_end(&s);
}

/* -- options ----------------------------------------------------------------------------------- */

static void refuse(scene_t *s, int status, const char *words, const sp_options_t *options) {
  sp_error_t why = {.status = 0};
  sp_watch_t *watch = (void *)s;
  assert_int_equal(sp_watch_new(&watch, &s->stage.uv, scene_on_change, &why, options), status);
  assert_null(watch);
  assert_int_equal(why.status, status);
  if (!strstr(why.text, words))
    fail_msg("\"%s\" is not in: %s", words, why.text);
}

static void what_cannot_be_watched(void **state) {
  scene_t s;
  (void)state;
  scene_open(&s);
  put(a, in_place);
  in_place("other", b->key_pem);
  refuse(&s, SP_EOPTION, "nothing to watch", NULL);
  refuse(&s, SP_EOPTION, "nothing to watch", SP_OPTIONS(.key = a->key_pem, .cert = a->cert_pem));
  refuse(&s, SP_EOPTION, "watch_interval", FILES(.watch_interval = -2));
  refuse(&s, SP_EOPTION, "watch_grace", FILES(.watch_grace = -7));
  refuse(&s, SP_EOPTION, "context", FILES(.context = stage_context(SP_CLIENT, 0)));
  refuse(&s, SP_EOPTION, "identities", FILES(.identity_count = SIZE_MAX / 2));
  refuse(&s, SP_EMISMATCH, "do not belong",
         SP_OPTIONS(.key_file = path("other"), .cert_file = path("cert")));
  refuse(&s, UV_ENOENT, "missing", FILES(.ca_files = SP_LIST(path("missing"))));
  refuse(&s, SP_ECERTIFICATE, "without cert", SP_OPTIONS(.key_file = path("key")));
  scene_end(&s);
}

/* Nothing of the options is needed after the call, and the working directory may change. */
static void options_are_copied(void **state) {
  scene_t s;
  char before[4096];
  (void)state;
  scene_open(&s);
  put(a, in_place);
  assert_non_null(getcwd(before, sizeof before));
  assert_int_equal(chdir(path("")), 0);
  char key[] = "key", cert[] = "cert", groups[] = "P-256", protocol[] = "h2", ca[4096];
  (void)snprintf(ca, sizeof ca, "%s", pki_default()->root->cert_pem);
  uint8_t keys[48] = {1, 2, 3}, found[48];
  const char *alpn[] = {protocol, NULL}, *cas[] = {ca, NULL};
  sp_options_t options = {.size = sizeof options,
                          .key_file = key,
                          .cert_file = cert,
                          .groups = groups,
                          .alpn = alpn,
                          .ca = cas,
                          .ticket_keys = keys,
                          .ticket_keys_size = sizeof keys,
                          .watch_interval = EVENTS};
  scene_watch(&s, &options);
  memset(key, 'x', 3), memset(cert, 'x', 4), memset(groups, 'x', 5), memset(ca, 'x', 4000);
  memset(keys, 9, sizeof keys), memset(protocol, 'x', 2), alpn[0] = cas[0] = "x";
  memset(&options, 0xff, sizeof options);
  assert_int_equal(chdir("/"), 0);
  put(b, by_rename);
  expect_change(&s, "B");
  sp_context_ticket_keys(sp_watch_context(s.watch), found);
  assert_memory_equal(found, ((uint8_t[48]){1, 2, 3}), sizeof found);
  assert_int_equal(unlink(path("key")), 0);
  check(&s);
  assert_non_null(strstr(s.error.text, path("key"))); /* the path in full */
  assert_int_equal(chdir(before), 0);
  scene_end(&s);
}

static unsigned asked;
static uv_thread_t asker;

static int on_passphrase(char *room, size_t size, const char *name, void *data) {
  asked++;
  assert_string_equal(name, path("key"));
  assert_string_equal(data, "data");
  assert_true(size >= 6);
  memcpy(room, "secret", 6);
  asker = uv_thread_self();
  return 6;
}

/* Asked once and in the call, and never on a worker thread. */
static void passphrases_are_kept(void **state) {
  scene_t s;
  (void)state;
  for (int by_call = 0; by_call < 2; by_call++) {
    static char data[] = "data";
    char word[] = "secret";
    asked = 0;
    scene_open(&s);
    in_place("key", pki_encrypted_key(a, "secret"));
    in_place("cert", a->cert_pem);
    scene_watch(&s, FILES(BY_EVENTS, .on_passphrase = by_call ? on_passphrase : NULL,
                          .passphrase_data = data, .passphrase = by_call ? NULL : word));
    memset(word, 'x', 6);
    by_rename("key", pki_encrypted_key(b, "secret"));
    by_rename("cert", b->cert_pem);
    expect_change(&s, "B");
    assert_int_equal(asked, by_call);
    by_rename("key", pki_encrypted_key(a, "another"));
    by_rename("cert", a->cert_pem);
    expect_fault(&s, SP_EPASSPHRASE, "passphrase");
    scene_end(&s);
  }
}

/* -- the end of the process -------------------------------------------------------------------- */

static void let_it_go(void) { uv_sem_post(&go); }
static void clean_up(void) { remove_all(path("")); }

/* While a worker is at the files, and from now on goes on with them. */
static void leave_meanwhile(void) {
  scene_t s;
  leaks_ignore();
  (void)alarm(60);
  (void)signal(SIGSEGV, SIG_DFL); /* cmocka's would go on with the next test */
  if (atexit(clean_up) != 0)      /* the last one: no worker needs the files any more */
    _exit(2);
  scene_begin(&s);
  check(&s);
  home = uv_thread_self();
  closes = 1; /* after the first file: a context is made yet */
  put(b, by_rename);
  if (uv_sem_init(&at_last, 0) < 0 || uv_sem_init(&go, 0) < 0)
    _exit(2);
  syscalls_set_fault(hold_at_last_file);
  (void)sp_watch_check(s.watch);
  uv_sem_wait(&at_last);
  if (atexit(let_it_go) != 0)
    _exit(2);
  exit(0);
}

static void exit_while_a_worker_looks(void **state) {
  (void)state;
  for (int i = 0; i < 5; i++) {
    int status;
    pid_t child = fork();
    if (!child)
      leave_meanwhile();
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
  }
}

/* -- closing ----------------------------------------------------------------------------------- */

/* Occupies every worker thread until it is told to stop. */
static uv_sem_t gate;
static void wait_at_gate(uv_work_t *work) { (void)work, uv_sem_wait(&gate); }
static void nothing(uv_work_t *work, int status) { (void)work, (void)status; }

static void closed_while_a_worker_looks(void **state) {
  scene_t s;
  uv_work_t busy[128];
  (void)state;
  for (int is_running = 0; is_running < 2; is_running++) {
    scene_begin(&s);
    put(b, in_place);
    uv_sem_init(&gate, 0);
    for (int i = 0; i < 128 && !is_running; i++) /* it has to wait for its turn */
      uv_queue_work(&s.stage.uv, &busy[i], wait_at_gate, nothing);
    sp_watch_check(s.watch);
    assert_int_equal(sp_watch_close(s.watch, scene_on_closed), 0);
    assert_false(s.is_closed);
    for (int i = 0; i < 128; i++)
      uv_sem_post(&gate);
    STAGE_UNTIL(&s.stage, s.is_closed);
    uv_run(&s.stage.uv, UV_RUN_NOWAIT);
    assert_int_equal(s.changes + s.faults, 0);
    s.watch = NULL;
    while (s.stage.uv.active_reqs.count)
      stage_turn(&s.stage);
    uv_sem_destroy(&gate);
    scene_end(&s);
  }
}

static void close_at_once(sp_watch_t *watch, int status) {
  scene_on_change(watch, status);
  assert_int_equal(sp_watch_close(watch, scene_on_closed), 0);
}

static void check_again(sp_watch_t *watch, int status) {
  scene_on_change(watch, status);
  assert_int_equal(sp_watch_check(watch), 0);
}

static void called_back(void **state) {
  scene_t s;
  (void)state;
  scene_begin(&s);
  s.watch->on_change = check_again;
  put(b, in_place);
  expect_change(&s, "B");
  s.watch->on_change = NULL; /* nobody needs to listen */
  put(a, in_place);
  STAGE_UNTIL(&s.stage, !strcmp(in_force(&s), "A"));
  s.watch->on_change = close_at_once;
  put(b, in_place);
  STAGE_UNTIL(&s.stage, s.is_closed);
  assert_int_equal(s.changes, 2);
  s.watch = NULL;
  scene_end(&s);
  /* nobody waits for the end either; and a loop with nothing else does not run for a watch */
  scene_begin(&s);
  uv_close((uv_handle_t *)&s.alive, NULL);
  STAGE_UNTIL(&s.stage, !s.watch->is_looking && !uv_loop_alive(&s.stage.uv));
  assert_int_equal(sp_watch_close(s.watch, NULL), 0);
  stage_run(&s.stage);
  s.watch = NULL;
  stage_close(&s.stage);
  remove_all(path(""));
}

/* -- memory ------------------------------------------------------------------------------------ */

static atomic_long countdown = -1, live;

static bool fails(void) {
  long left = atomic_load(&countdown);
  return left >= 0 && atomic_fetch_sub(&countdown, 1) <= 0;
}

static void *allocate(size_t n) {
  void *memory = fails() ? NULL : malloc(n);
  live += memory != NULL;
  return memory;
}

static void *reallocate(void *memory, size_t n) {
  void *moved = fails() ? NULL : realloc(memory, n);
  live += moved && !memory;
  return moved;
}

static void release(void *memory) {
  live -= memory != NULL;
  free(memory);
}

/* Each allocation of ours fails, and all after it. */
static void a_watch_without_memory(void **state) {
  scene_t s;
  (void)state;
  bool done = false;
  scene_open(&s);
  put(a, in_place);
  const sp_identity_t more[] = {{.key = b->key_pem, .cert = b->cert_pem, .passphrase = "x"}};
  long before = live;
  for (long at = 0; !done; at++) {
    sp_error_t why = {.status = 0};
    countdown = at;
    int status =
        sp_watch_new(&s.watch, &s.stage.uv, scene_on_change, &why,
                     FILES(BY_EVENTS, .identities = more, .identity_count = 1, .ciphers = "ECDHE",
                           .ca_files = SP_LIST(path("cert")), .alpn = SP_LIST("a", "b"),
                           .session_id_context = "x", .session_id_context_size = 1));
    done = countdown >= 0;
    countdown = -1;
    if (status < 0) {
      assert_int_equal(status, UV_ENOMEM);
      assert_null(s.watch);
      assert_int_equal(live, before);
      continue;
    }
    s.is_closed = false;
    sp_watch_set_data(s.watch, &s);
    assert_int_equal(sp_watch_close(s.watch, scene_on_closed), 0);
    STAGE_UNTIL(&s.stage, s.is_closed);
    assert_int_equal(live, before);
  }
  s.watch = NULL;
  scene_end(&s);
}

static void a_look_without_memory(void **state) {
  scene_t s;
  bool done = false, is_b = false;
  (void)state;
  scene_begin(&s);
  for (long at = 0; !done; at++) {
    unsigned changes = s.changes;
    put(is_b ? a : b, by_rename);
    countdown = at;
    check(&s);
    done = countdown >= 0;
    countdown = -1;
    if (s.changes == changes) {
      assert_int_equal(s.error.status, UV_ENOMEM);
      assert_string_equal(in_force(&s), is_b ? "B" : "A");
      check(&s);
      assert_int_equal(s.changes, changes + 1);
      assert_string_equal(in_force(&s), is_b ? "A" : "B");
    }
    is_b = !is_b;
  }
  scene_end(&s);
}

int main(void) {
  sp_replace_allocator(allocate, reallocate, release);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(files_replaced_as_the_system_tells),
      cmocka_unit_test(files_replaced_and_nobody_tells),
      cmocka_unit_test(links_that_lead_elsewhere),
      cmocka_unit_test(a_folder_that_is_swapped_by_its_link),
      cmocka_unit_test(a_link_further_up),
      cmocka_unit_test(the_same_content_changes_nothing),
      cmocka_unit_test(every_kind_of_file),
      cmocka_unit_test(changed_behind_a_look),
      cmocka_unit_test(what_cannot_be_watched),
      cmocka_unit_test(options_are_copied),
      cmocka_unit_test(passphrases_are_kept),
      cmocka_unit_test(closed_while_a_worker_looks),
      cmocka_unit_test(exit_while_a_worker_looks),
      cmocka_unit_test(called_back),
      cmocka_unit_test(a_watch_without_memory),
      cmocka_unit_test(a_look_without_memory),
  };
  return cmocka_run_group_tests_name("watch", tests, NULL, NULL);
}
